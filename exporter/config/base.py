"""What every section of the settings is made of: the base model, and how a setting is described, once for all."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """What all sections share, since pydantic has no other place for it. No error of pydantic's shows input."""

    # Deferred: a validator is built with the first value to validate, one for all sections instead of one for each.
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True, defer_build=True
    )


def section(model: type[Section], meaning: str = "") -> Any:
    """Place a section. Its docstring is what help and docs say of it, unless ``meaning`` does."""
    # Nothing said is an empty section: made by the validator of the whole, the section's own need not be built.
    return Field(default_factory=dict, description=meaning or " ".join((model.__doc__ or "").split()))


def setting(
    default: Any,
    meaning: str,
    *,
    metavar: str = "VALUE",
    shown_default: str = "",
    secret: bool = False,
    flag: bool = True,
    file_only: bool = False,
) -> Any:
    """Describe one setting: its default as a user would write it and what it means, for validation, help and docs."""
    extra: dict[str, Any] = {"metavar": metavar, "secret": secret, "flag": flag and not (secret or file_only)}
    extra |= {"file_only": file_only, "shown_default": shown_default}
    if callable(default):
        return Field(default_factory=default, validate_default=False, description=meaning, json_schema_extra=extra)
    return Field(default, description=meaning, json_schema_extra=extra)


def blame(field: str, problem: str) -> PydanticCustomError:
    """Return an error about a neighbour of the field that is being validated: the one that the user has written."""
    return PydanticCustomError("blame", "{problem}", {"problem": problem, "field": field})
