"""The settings of the jobs."""

from pydantic import Field, HttpUrl

from apps.service import settings


class Settings(settings.Settings):
    """The environment of a job that asks Elasticsearch."""

    elasticsearch_url: HttpUrl

    @property
    def base_url(self) -> str:
        """The URL that paths are added to."""
        return str(self.elasticsearch_url).rstrip("/")


class RetentionSettings(Settings):
    """The environment of the retention."""

    retention_days: int = Field(ge=1)
