"""From the arguments of a call to the key and the tags of its entry."""

import datetime as dt
import functools
import inspect
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from greencache.decorators.targets import Target
from greencache.errors import ConfigurationError, InvalidKeyError
from greencache.keys import (
    MAX_PLAIN_BYTES,
    Template,
    arguments_text,
    bind_arguments,
    check_key,
    check_tag,
    hashed,
)
from greencache.typing import Key

__all__ = ["CallNames", "KeyOption", "Named", "TagsOption", "argument_templates", "is_rememberable"]

KeyOption: TypeAlias = str | Callable[..., Key] | None
TagsOption: TypeAlias = Iterable[str] | Callable[..., Iterable[str]]
Named: TypeAlias = tuple[Key, tuple[str, ...]]

_REMEMBERED_CALLS: Final = 2048
_REMEMBERED_BYTES: Final = 512

# Types whose equal instances have equal canonical text. Not float (0.0 == -0.0), not Decimal (1.0 == 1.00),
# not datetime (equal in two zones), and no container, which may hold these.
_REMEMBERED_TYPES: Final = frozenset({str, bytes, int, bool, type(None), dt.date, uuid.UUID})


class _Unremembered(Exception):  # noqa: N818 -- carries an answer, not a failure
    """Carries out of `lru_cache` what it must not keep."""

    def __init__(self, named: Named) -> None:
        super().__init__(named)
        self.named = named


class CallNames:
    """Names the entry of each call of one function.

    Args:
        target: The function.
        prefix: What its keys begin with when there is no `key`; None for the function's own name.
        key: A template over its arguments, or a callable that gets the same arguments and returns the key.
        tags: Templates over its arguments, or a callable that gets the same arguments and returns the tags.
        self_key: The attribute of the receiver that is part of the key, and a field for templates.
        function_tag: A tag of every entry, taken literally.

    Raises:
        ConfigurationError: A template names what is no argument, or the function needs a prefix and has none.
    """

    def __init__(
        self,
        target: Target,
        *,
        prefix: str | None = None,
        key: KeyOption = None,
        tags: TagsOption = (),
        self_key: str | None = None,
        function_tag: str | None = None,
    ) -> None:
        self.target = target
        self.self_key = self_key
        self._signature = _key_signature(target, self_key)
        fields = [*([self_key] if self_key else []), *target.fields]
        self.key_function = key if callable(key) else None
        self._tags_function = tags if callable(tags) else None
        self.template = argument_templates([key], fields, target.name)[0] if isinstance(key, str) else None
        self._tags = argument_templates(() if callable(tags) else tags, fields, target.name)
        if function_tag is not None:
            self._tags += (Template(function_tag.replace("{", "{{").replace("}", "}}")),)
        self._prefix = (
            "" if key is not None else _checked_prefix(target.prefix() if prefix is None else prefix)
        )
        if self_key and (self.key_function or (self.template and self_key not in self.template.fields)):
            raise ConfigurationError(
                f"{target.name}: self_key={self_key!r} is not part of the key; use it as a field of key=",
            )
        # A mutable default may change between calls, so it is looked at like an argument.
        self._defaults = [p.default for p in self._signature.parameters.values() if p.default is not p.empty]
        self._remembered = functools.lru_cache(_REMEMBERED_CALLS, typed=True)(self._remember)
        self.is_by_value = not (self.key_function or self._tags_function or self_key)
        """Whether the values of the parameters, without the receiver, are all that a name depends on."""

    def name(self, /, *args: Any, **kwargs: Any) -> Named:
        """Return the key and the tags for a call with these arguments, receiver first if there is one.

        Raises:
            InvalidKeyError: An argument that cannot be part of a key, or a key or tag that is not valid.
            TypeError: The arguments do not fit the function.
        """
        key, tags = self._by_values(args, kwargs) if self._uses_values else ("", self._fixed_tags)
        if self.key_function:
            key = self.key(*args, **kwargs)
        if self._tags_function:
            tags += tuple(map(check_tag, self._tags_function(*args, **kwargs)))
        return key, tags

    def key(self, /, *args: Any, **kwargs: Any) -> Key:
        """Return the key alone; see `name`."""
        if self.key_function:
            return check_key(self.key_function(*args, **kwargs))
        return self._by_values(args, kwargs)[0]

    @functools.cached_property
    def _uses_values(self) -> bool:
        return not self.key_function or any(template.fields for template in self._tags)

    @functools.cached_property
    def _fixed_tags(self) -> tuple[str, ...]:
        return tuple(template.format() for template in self._tags)

    def _by_values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Named:
        if self.target.receiver:
            receiver, *rest = args or _no_receiver(self.target)
            args = (getattr(receiver, self.self_key), *rest) if self.self_key else tuple(rest)
        try:
            return self._remembered(*args, **kwargs)
        except _Unremembered as found:
            return found.named
        except TypeError:  # an unhashable argument; if the arguments were wrong, this raises again
            return self.of_values(bind_arguments(self._signature, args, kwargs))

    def _remember(self, /, *args: Any, **kwargs: Any) -> Named:
        named = self.of_values(bind_arguments(self._signature, args, kwargs))
        if all(map(is_rememberable, (*args, *kwargs.values(), *self._defaults))):
            return named
        raise _Unremembered(named)

    def of_values(self, values: Mapping[str, Any]) -> Named:
        """Return the key and the tags by the templates, for values of the parameters without receiver."""
        tags = tuple(template.format_map(values) for template in self._tags)
        if self.key_function:
            return "", tags
        return (self.template.format_map(values) if self.template else self._canonical(values)), tags

    def _canonical(self, values: Mapping[str, Any]) -> Key:
        text = arguments_text(values)
        key = f"{self._prefix}:{text}"
        is_plain = len(key.encode(errors="surrogatepass")) <= MAX_PLAIN_BYTES
        return check_key(key if is_plain else self._prefix + hashed(text))


def is_rememberable(value: object) -> bool:
    """Return whether equal values of its type have equal names, and it is small enough to be kept."""
    return type(value) in _REMEMBERED_TYPES and sys.getsizeof(value) <= _REMEMBERED_BYTES


def argument_templates(texts: Iterable[str], fields: Iterable[str], function: str) -> tuple[Template, ...]:
    """Return templates whose fields are all arguments of `function`.

    Raises:
        ConfigurationError: One is not a template, or has a field that is no argument.
    """
    if isinstance(texts, str):
        raise ConfigurationError(f"{function}: expected a sequence of templates, got the str {texts!r}")
    templates = tuple(map(Template, texts))
    for template in templates:
        unknown = set(template.fields).difference(fields)
        if unknown:
            raise ConfigurationError(
                f"{function}: template {template.text!r} names {sorted(unknown)}, expected arguments out of "
                f"{list(fields)}",
            )
    return templates


def _key_signature(target: Target, self_key: str | None) -> inspect.Signature:
    """Return the signature of what counts for the key: an attribute in place of the receiver, or nothing."""
    parameters = target.arguments
    if self_key is None:
        return inspect.Signature(parameters)
    if not self_key.isidentifier() or self_key in {parameter.name for parameter in parameters}:
        raise ConfigurationError(
            f"{target.name}: expected self_key= as the name of an attribute, other than an argument's name, "
            f"got {self_key!r}",
        )
    if target.receiver is None:
        raise ConfigurationError(
            f"{target.name}: self_key={self_key!r} needs a method with a `self` or `cls`"
        )
    return inspect.Signature([inspect.Parameter(self_key, inspect.Parameter.POSITIONAL_ONLY), *parameters])


def _checked_prefix(prefix: str) -> str:
    try:
        check_key(check_key(prefix) + hashed(""))  # the longest key that it begins
    except InvalidKeyError as error:
        raise ConfigurationError(f"prefix= cannot begin a key: {error}") from None
    return prefix


def _no_receiver(target: Target) -> tuple[Any, ...]:
    raise TypeError(f"{target.name}() missing its first argument {target.receiver!r}, which is positional")
