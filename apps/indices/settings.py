"""The jobs' settings, from the environment."""

from pydantic import Field, HttpUrl

from apps.service import settings


class Settings(settings.Settings):
    """The environment of a job that uses Elasticsearch."""

    elasticsearch_url: HttpUrl

    @property
    def base_url(self) -> str:
        """The URL without a trailing slash."""
        return str(self.elasticsearch_url).rstrip("/")


class RetentionSettings(Settings):
    """The environment of the retention job."""

    retention_days: int = Field(ge=1)
