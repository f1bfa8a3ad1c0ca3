"""Files that set up the Redis servers of a tier, from the same configuration that the cache is made of."""

from greencache.deploy.plan import Plan
from greencache.deploy.rendering import KINDS, Kind, render

__all__ = ["KINDS", "Kind", "Plan", "render"]
