"""How a mistaken setting is told to the person who made it."""

from pydantic import ValidationError


def describe_settings_error(error: ValidationError) -> str:
    """Every mistake on its own line, each with its variable's name."""
    lines = [f"ARGUS_{str(mistake['loc'][0]).upper()}: {mistake['msg']}" for mistake in error.errors()]
    return "\n".join(["the environment is not valid:", *lines])
