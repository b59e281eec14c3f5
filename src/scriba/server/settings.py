"""Every setting of Scriba: read from flags, then the environment, then ``.env``.

Names are ``SCRIBA_`` and the field in capitals; a group's field follows two underscores
(``SCRIBA_DECODING__BEAM_SIZE``). ``HF_TOKEN`` is read under its usual name.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scriba.domain.options import TranscribeOptions
from scriba.models.catalogue import DEFAULT_ALIASES
from scriba.server.job_settings import JobSettings, StoreSettings, check_webhook_secret
from scriba.server.live_settings import LiveSettings
from scriba.server.setting_groups import (
    DecodingSettings,
    LanguageSettings,
    SeparationSettings,
    SpeakerSettings,
    VadSettings,
)
from scriba.server.setting_values import default_data_dir, split_list, split_pairs

PREFIX = "SCRIBA_"

DEFAULT = "default"
"""As the target of an alias: whatever the server's default model is."""


FIXED_NAMES = {
    "hf_token": "HF_TOKEN",
    "db_url": "DB_URL",
    "redis_url": "REDIS_URL",
    "app_prefix": "APP_PREFIX",
    "max_recordings_per_minute": "MAX_RECORDINGS_PER_MINUTE",
    "max_recordings_per_hour": "MAX_RECORDINGS_PER_HOUR",
    "max_recordings_per_day": "MAX_RECORDINGS_PER_DAY",
}
"""Settings that are read under a name that others fixed."""


class RedisFailure(StrEnum):
    """What happens to recordings while Redis cannot be asked."""

    OPEN = "open"
    CLOSED = "closed"


class ModelSource(StrEnum):
    """Where a model may come from."""

    BUNDLED = "bundled"
    NPM = "npm"
    HUB = "hub"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ContextChoice(StrEnum):
    AUTO = "auto"
    FIT = "fit"
    FULL = "full"


class EngineChoice(StrEnum):
    AUTO = "auto"
    CTRANSLATE2 = "ctranslate2"
    OPENVINO = "openvino"


class StatusCase(StrEnum):
    """How the task interface writes its states."""

    UPPER = "upper"
    LOWER = "lower"


class Settings(BaseSettings):
    """The effective settings of one process. Immutable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        env_parse_none_str="none",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        validate_default=False,
    )

    # The server's address
    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on; `0.0.0.0` for every interface."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    root_path: str = Field(
        "",
        pattern=r"^(/[^/?#\s]+)*$",
        description="Path under which a proxy publishes the server, such as `/scriba`.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1",),
        description="Proxies whose `X-Forwarded-*` headers are believed; `*` trusts every one.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Web origins whose pages may call the server; `*` for all."
    )
    docs: bool = Field(True, description="Serve `/docs`, `/redoc` and `/openapi.json`.")
    shutdown_grace_seconds: float = Field(
        3.0,
        ge=0,
        le=3600,
        description="On shutdown, running work may go on for so long before it is cancelled.",
    )

    # Who may call
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that are accepted as `Authorization: Bearer …`; empty: everyone may call."
    )

    # Models
    model: str = Field(
        "base", min_length=1, description="The default model: a catalogue name, a folder or a hub name."
    )
    model_fallback: str | None = Field(
        "tiny.en",
        description="Used, with a notice, when the default model cannot be had; `none`: start without.",
    )
    model_aliases: Annotated[dict[str, str], NoDecode] = Field(
        dict.fromkeys(DEFAULT_ALIASES, DEFAULT),
        description="Other names for models, in place of these, as `name=model,…`; "
        "the model `default` is the default model.",
    )
    model_sources: Annotated[tuple[ModelSource, ...], NoDecode] = Field(
        tuple(ModelSource),
        min_length=1,
        description="Where models may come from, in the order they are tried.",
    )
    model_allow_pull: bool = Field(
        True,
        description="A request may fetch a model of the catalogue that is not here yet. Turn it off where "
        "strangers may send requests. The default model is always fetched.",
    )
    model_folders: Annotated[dict[str, str], NoDecode] = Field(
        {},
        description="Models of your own, as `name=path,…`: a CTranslate2 folder, a Hugging Face folder, or "
        "an OpenAI `.pt` file.",
    )
    model_idle_seconds: float = Field(
        600.0, ge=0, description="A model unused for so long is unloaded, except the default one; 0: never."
    )
    model_memory_mb: int = Field(
        0, ge=0, description="Loaded models may take so much memory together; 0: no bound."
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Where models and temporary files are kept.",
        json_schema_extra={"default_text": "`$XDG_DATA_HOME/scriba`, else `~/.local/share/scriba`"},
    )
    hf_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("HF_TOKEN", "SCRIBA_HF_TOKEN", "hf_token"),
        description="Token for the model hub. Read as `HF_TOKEN`.",
    )

    # The machine
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda)$", description="`cpu`, `cuda`, or `auto`.")
    compute_type: str = Field(
        "auto",
        min_length=1,
        description="CTranslate2's compute type, such as `int8` or `float16`; to name one is to choose "
        "CTranslate2. `auto` chooses.",
    )
    workers: int = Field(
        0, ge=0, le=256, description="Windows decoded side by side; 0 chooses by the machine."
    )
    threads: int = Field(0, ge=0, le=256, description="Threads of each worker; 0 chooses by the machine.")
    batch_rows: int = Field(
        0,
        ge=0,
        le=256,
        description="Sequences decoded together at most; a beam of five counts five; 0: as the engine likes.",
    )
    context: ContextChoice = Field(
        ContextChoice.AUTO,
        description="How much of Whisper's 30 s the encoder is given: `fit` what the speech needs, `full` "
        "all, `auto` what was measured to hold the model's accuracy.",
    )
    engine: EngineChoice = Field(
        EngineChoice.AUTO,
        description="What runs the models: `ctranslate2`, `openvino`, or `auto`: OpenVINO on a CPU with "
        "bfloat16, where it is faster, CTranslate2 elsewhere.",
    )

    # Limits
    max_upload_mb: int = Field(1024, ge=1, description="The largest upload, in megabytes of 1,000,000 bytes.")
    max_message_mib: int = Field(
        50, ge=1, le=1024, description="The largest WebSocket message of the JSON interface, in MiB."
    )
    max_audio_seconds: float = Field(
        43_200.0, gt=0, description="The longest recording, counted as it is decoded."
    )
    max_decoded_mb: int = Field(
        16_384, ge=1, description="The most decoded sound of one recording, in megabytes of 1,000,000 bytes."
    )
    max_concurrent: int = Field(
        16, ge=1, le=1024, description="Requests transcribed at the same time; they share the workers fairly."
    )
    max_queued: int = Field(
        64, ge=0, description="Requests that may upload or wait beside those; one more is answered 503."
    )
    upload_idle_seconds: float = Field(
        30.0, gt=0, description="An upload that sends nothing for so long is given up."
    )
    ping_seconds: float = Field(15.0, gt=0, description="Between two comments that keep a quiet stream open.")

    # Live recordings (the WebSockets /ws and /ws/transcribe)
    app_prefix: str = Field(
        "",
        pattern=r"^(/[^/?#\s]+)*$",
        validation_alias=AliasChoices("APP_PREFIX", "app_prefix"),
        description="Path before `/ws` and `/ws/transcribe`. Read as `APP_PREFIX`.",
    )
    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="Where recordings are counted, such as `redis://localhost:6379`; unset: in this process. "
        "Read as `REDIS_URL`.",
    )
    redis_failure: RedisFailure = Field(
        RedisFailure.OPEN,
        description="While Redis cannot be asked, recordings are counted in this process (`open`) or refused "
        "(`closed`).",
    )
    max_recordings_per_minute: int = Field(
        40,
        ge=1,
        validation_alias=AliasChoices("MAX_RECORDINGS_PER_MINUTE", "max_recordings_per_minute"),
        description="Recordings of one client address in a minute.",
    )
    max_recordings_per_hour: int = Field(
        120,
        ge=1,
        validation_alias=AliasChoices("MAX_RECORDINGS_PER_HOUR", "max_recordings_per_hour"),
        description="The same in an hour.",
    )
    max_recordings_per_day: int = Field(
        200,
        ge=1,
        validation_alias=AliasChoices("MAX_RECORDINGS_PER_DAY", "max_recordings_per_day"),
        description="The same in a day.",
    )

    # What is remembered
    db_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("DB_URL", "SCRIBA_DB_URL", "db_url"),
        description="The database: `sqlite:///file` or `postgresql://user:password@host/name`. "
        "Read as `DB_URL`. Unset: `scriba.db` in the data folder.",
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Signs webhooks (Standard Webhooks): `whsec_` and base64. Without it none are sent."
    )
    private_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts inside the network, as `host` or `host:port`, that recordings may be fetched from "
        "and webhooks sent to.",
    )
    fetch_seconds: float = Field(
        600.0, gt=0, description="A recording that is fetched by URL must be there within this time."
    )
    upload_hours: float = Field(24.0, gt=0, description="A resumable upload is kept for so long.")
    task_status_case: StatusCase = Field(
        StatusCase.UPPER, description="How the task interface writes states: `COMPLETED` or `completed`."
    )
    store: StoreSettings = Field(default_factory=StoreSettings, description="Recordings and results.")
    jobs: JobSettings = Field(default_factory=JobSettings, description="Queued work.")

    # Transcription
    guards: bool = Field(True, description="Withhold text that nobody said, and list it as suppressed.")
    decoding: DecodingSettings = Field(default_factory=DecodingSettings, description="Search for text.")
    vad: VadSettings = Field(default_factory=VadSettings, description="Voice activity.")
    separation: SeparationSettings = Field(
        default_factory=SeparationSettings, description="Voice from music."
    )
    language: LanguageSettings = Field(default_factory=LanguageSettings, description="Language detection.")
    speakers: SpeakerSettings = Field(default_factory=SpeakerSettings, description="Who speaks.")

    # Live speech
    live: LiveSettings = Field(default_factory=LiveSettings, description="Live sessions.")

    # Logging
    log_level: LogLevel = Field(LogLevel.INFO, description="The least severe message that is logged.")
    log_format: LogFormat = Field(LogFormat.CONSOLE, description="`console` for people, `json` for machines.")

    _lists = field_validator(
        "trusted_proxies", "cors_origins", "api_keys", "model_sources", "private_hosts", mode="before"
    )(split_list)
    _pairs = field_validator("model_aliases", "model_folders", mode="before")(split_pairs)

    @field_validator("data_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("api_keys", mode="after")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 8 for key in value):
            raise ValueError("a key needs at least 8 characters")
        return value

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * 1_000_000

    @property
    def max_decoded_bytes(self) -> int:
        return self.max_decoded_mb * 1_000_000

    @field_validator("webhook_secret", mode="after")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_webhook_secret(value.get_secret_value())
        return value

    @property
    def database_url(self) -> str:
        """The database in force."""
        if self.db_url is not None:
            return self.db_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'scriba.db'}"

    @property
    def spool_dir(self) -> Path:
        """Where uploads lie, unnamed, while they are worked on."""
        return self.data_dir / "spool"

    def transcribe_options(self) -> TranscribeOptions:
        """What a request that says nothing asks for."""
        return TranscribeOptions(
            language=self.language.policy(),
            decoding=self.decoding.options(),
            vad=self.vad.options(),
            separation=self.separation.options(),
            guards=self.guards,
        )
