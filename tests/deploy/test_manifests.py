"""Docker Compose and Kubernetes: their own schemas allow what is rendered, and no password is in it."""

import importlib.resources
import json
import pathlib

import jsonschema
import kubernetes_validate
import pytest
import yaml

from greencache.config import CacheConfig, RedisTopology
from greencache.deploy import Plan, render
from greencache.errors import ConfigurationError
from greencache.typing import CacheTier

TOPOLOGIES = list(RedisTopology)
URLS = dict(
    zip(TOPOLOGIES, ("rediss://h", "rediss+sentinel://h/mymaster", "rediss+cluster://h"), strict=True)
)
STANDALONE, SENTINEL, CLUSTER = TOPOLOGIES
DEPLOY = pathlib.Path(__file__).parents[2] / "config" / "deploy"
OTHERS = {
    "username": "app",
    "password": "geheim",
    "server": {"container": {"storage_class": "fast", "secret": "cache-login"}},
}


def compose_of(plan):
    """Return the parsed file."""
    return yaml.safe_load(render(plan, ["compose"])["compose.yaml"])


def manifests_of(plan):
    """Return the parsed manifests."""
    return list(yaml.safe_load_all(render(plan, ["kubernetes"])["kubernetes.yaml"]))


def of_kind(manifests, kind):
    """Return those of one kind."""
    return [each for each in manifests if each["kind"] == kind]


def pods_of(manifests):
    """Return the specs of all pods."""
    return [each["spec"]["template"]["spec"] for each in manifests if "template" in each.get("spec", {})]


@pytest.mark.parametrize("has_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("settings", [{}, OTHERS], ids=["default", "others"])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_compose_follows_its_schema(plan, topology, settings, has_tls):
    """The one of the Compose specification."""
    settings = settings | ({"url": URLS[topology]} if has_tls else {})
    folder = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.validate(compose_of(plan(topology, **settings)), schema)


@pytest.mark.parametrize("has_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("settings", [{}, OTHERS], ids=["default", "others"])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_manifests_follow_the_schemas_of_kubernetes(plan, topology, settings, has_tls):
    """Strictly: a name that Kubernetes would ignore is refused."""
    settings = settings | ({"url": URLS[topology]} if has_tls else {})
    for manifest in manifests_of(plan(topology, **settings)):
        kubernetes_validate.validate(manifest, "1.31", strict=True)


def test_the_schema_of_kubernetes_is_strict(plan):
    """Else the test before could not fail."""
    (manifest,) = of_kind(manifests_of(plan()), "StatefulSet")
    manifest["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.31", strict=True)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_no_password_is_in_what_is_rendered(plan, topology):
    """A Secret is referred to, and none is made."""
    made = plan(topology, **OTHERS)
    files = render(made)
    assert not [name for name, text in files.items() if "geheim" in text]
    manifests = manifests_of(made)
    assert not of_kind(manifests, "Secret")
    for pod in pods_of(manifests):
        (volume,) = [each["secret"] for each in pod["volumes"] if "secret" in each]
        assert volume["secretName"] == "cache-login"
        variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        assert variables["REDIS_PASSWORD_FILE"] == "/run/secrets/cache-login"
        assert variables["REDIS_USER"] == "app"
    compose = compose_of(made)
    assert compose["secrets"] == {"cache-login": {"environment": "GREENCACHE_REDIS_PASSWORD"}}
    for service in compose["services"].values():
        assert service["secrets"] == ["cache-login"]
        assert service["environment"]["REDIS_PASSWORD_FILE"] == "/run/secrets/cache-login"


@pytest.mark.parametrize(("topology", "count"), [(STANDALONE, 1), (SENTINEL, 3), (CLUSTER, 6)])
def test_there_are_as_many_as_configured(plan, topology, count):
    """Data servers, sentinels, and one that makes a Cluster."""
    manifests = manifests_of(plan(topology))
    sets = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of_kind(manifests, "StatefulSet")}
    sentinels = {"default-l3-sentinel": 3} if topology is SENTINEL else {}
    assert sets == {"default-l3": count} | sentinels
    assert len(of_kind(manifests, "Job")) == (topology is CLUSTER)
    assert len(compose_of(plan(topology))["services"]) == sum(sets.values()) + (topology is CLUSTER)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_set_has_a_service_a_budget_and_probes(plan, topology):
    """Headless, one pod away at a time, three probes, memory as large as it needs."""
    manifests = manifests_of(plan(topology, server={"maxmemory": "1GiB"}))
    for each in of_kind(manifests, "StatefulSet"):
        name, spec = each["metadata"]["name"], each["spec"]
        (service,) = [
            other
            for other in of_kind(manifests, "Service")
            if other["metadata"]["name"] == spec["serviceName"]
        ]
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["selector"] == spec["template"]["metadata"]["labels"]
        (budget,) = [o for o in of_kind(manifests, "PodDisruptionBudget") if o["metadata"]["name"] == name]
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == spec["selector"]
        container = spec["template"]["spec"]["containers"][0]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        memory = int(container["resources"]["limits"]["memory"])
        assert memory >= (64 << 20 if name.endswith("sentinel") else 1.5 * (1 << 30))
        assert container["resources"]["requests"]["memory"] == str(memory)
        assert container["securityContext"]["readOnlyRootFilesystem"]


def test_members_find_each_other_by_the_names_of_their_services(plan):
    """In Kubernetes a pod is called after its set and its headless service; in Compose after its service."""
    for pod in pods_of(manifests_of(plan(SENTINEL))):
        told = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        assert told["REDIS_PRIMARY"] == "default-l3-0.default-l3:6379"
        assert told["REDIS_SENTINELS"].split()[2] == "default-l3-sentinel-2.default-l3-sentinel:26379"
        assert told["REDIS_ANNOUNCE"].startswith("$(POD_NAME).default-l3")
    compose = compose_of(plan(SENTINEL))["services"]
    told = compose["default-l3-1"]["environment"]
    assert told["REDIS_PRIMARY"] == "default-l3-0:6379"
    assert {
        told["REDIS_ANNOUNCE"],
        *(place.split(":")[0] for place in told["REDIS_SENTINELS"].split()),
    } <= compose.keys()
    (job,) = of_kind(manifests_of(plan(CLUSTER)), "Job")
    told = {
        each["name"]: each.get("value") for each in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert told["REDIS_NODES"].split()[5] == "default-l3-5.default-l3:6379"
    assert told["REDIS_REPLICAS"] == "1"


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_config_map_and_the_files_beside_compose_are_the_same(plan, topology):
    """Compose mounts them, Kubernetes carries them."""
    made = plan(topology)
    (config_map,) = of_kind(manifests_of(made), "ConfigMap")
    files = render(made, ["conf"])
    assert config_map["data"] == {name: files[name] for name in config_map["data"]}
    mounted = {each["file"].removeprefix("./") for each in compose_of(made)["configs"].values()}
    assert mounted == config_map["data"].keys()
    assert mounted <= render(made, ["compose"]).keys()


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_shipped_files_are_what_is_rendered(topology):
    """Those in config/deploy, from the default configuration: `greencache redis-config --topology …`."""
    files = render(Plan.of(CacheConfig(), CacheTier.L3, topology))
    shipped = {path.name: path.read_text(encoding="utf-8") for path in (DEPLOY / topology.value).iterdir()}
    assert shipped == files


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_with_tls_every_container_finds_its_certificate(plan, topology):
    """Where the rendered files say that it is; and clients are told to connect by TLS."""
    made = plan(url=URLS[topology])
    files = render(made)
    folder = "/etc/greencache-tls"
    for name in {"redis.conf", "sentinel.conf"} & files.keys():
        lines = files[name].splitlines()
        assert {"port 0", f"tls-cert-file {folder}/tls.crt", "tls-replication yes"} <= set(lines)
        assert [line for line in lines if line.startswith("tls-port ")]
    assert ("tls-cluster yes" in files["redis.conf"]) is (topology is CLUSTER)
    services = yaml.safe_load(files["compose.yaml"])["services"].values()
    assert all(f"./tls:{folder}:ro" in service["volumes"] for service in services)
    manifests = list(yaml.safe_load_all(files["kubernetes.yaml"]))
    for pod in pods_of(manifests):
        (container,) = pod["containers"]
        assert {"name": "tls", "mountPath": folder, "readOnly": True} in container["volumeMounts"]
        assert [v["secret"]["secretName"] for v in pod["volumes"] if v["name"] == "tls"] == [
            "greencache-redis-tls"
        ]
    assert "Clients connect to rediss" in files["kubernetes.yaml"]


def test_who_connects_must_show_a_certificate_where_the_cache_has_one(plan):
    """Otherwise one that is shown must be good."""
    shown = plan(url="rediss://h?ssl_certfile=/client.crt&ssl_keyfile=/client.key")
    assert "tls-auth-clients yes" in render(shown)["redis.conf"]
    assert "tls-auth-clients optional" in render(plan(url="rediss://h"))["redis.conf"]


def test_what_does_not_fit_is_said(plan):
    """A cache that is larger than its servers; a tier that is no Redis."""
    assert "server.maxmemory" in plan(size="10GB").warnings()[0]
    assert plan(size="1GB").warnings() == []
    assert plan(CLUSTER, size="6GB").warnings() == []
    with pytest.raises(ConfigurationError, match="l2 or l3"):
        Plan.of(CacheConfig(), CacheTier.L4)
