"""Settings of `fetch_images`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

#: Fields that decide when and how often an address is asked, never what an answer is worth.
_OPERATIONAL: dict[str, Any] = {"operational": True}


class FetchConfig(BaseModel):
    """Settings of `fetch_images`: who we are, what we may contact, how gently, and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_agent: str = Field(
        default="LensmithBot/0.1 (+https://pypi.org/project/lensmith/)",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*(/[^\x00-\x1f\x7f-\uffff]*)?$",
        description="User-Agent header; its first word, up to '/', is the name looked up in robots.txt",
    )
    opt_out: Literal["drop", "keep"] = Field(
        default="drop",
        description="'drop' rejects what opted out; 'keep' fetches and records the signals, robots.txt's among them",
    )
    opt_out_list: tuple[str, ...] = Field(
        default=(),
        description="the user's opt-outs: a host (with its subdomains), host:port, or the beginning of an address",
    )
    allow_hosts: tuple[str, ...] = Field(
        default=(),
        description="hosts (or host:port) that may lie on loopback or private networks; all others are refused there",
    )
    max_bytes: int = Field(
        default=20 * 1024 * 1024, gt=0, description="largest body in bytes, before and after content decoding"
    )
    max_redirects: int = Field(default=5, ge=0, le=20, description="redirects followed for one address")
    total_seconds: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="time that one address's exchanges may take in all, connecting and redirects included",
        json_schema_extra=_OPERATIONAL,
    )
    connect_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="time for a name look-up, and for a connection with its TLS handshake",
        json_schema_extra=_OPERATIONAL,
    )
    threads: int = Field(
        default=32, ge=1, le=1024, description="addresses asked at once", json_schema_extra=_OPERATIONAL
    )
    host_interval: float = Field(
        default=0.2,
        ge=0,
        description="seconds between the starts of two requests to one host",
        json_schema_extra=_OPERATIONAL,
    )
    host_concurrency: int = Field(
        default=2, ge=1, description="requests to one host at once", json_schema_extra=_OPERATIONAL
    )
    crawl_delay_cap: float = Field(
        default=10.0,
        ge=0,
        description="longest Crawl-delay of robots.txt that is honoured, seconds",
        json_schema_extra=_OPERATIONAL,
    )
    host_budget: int = Field(
        default=10_000,
        ge=0,
        description="addresses asked of one host in a run; the rest, by hash, is deferred; 0 fetches nothing",
        json_schema_extra=_OPERATIONAL,
    )
    host_seconds: float = Field(
        default=3600.0,
        gt=0,
        description="time spent on one host in a run; the rest is deferred",
        json_schema_extra=_OPERATIONAL,
    )
    attempts: int = Field(
        default=3,
        ge=1,
        description="times an address is asked when it fails for a passing reason",
        json_schema_extra=_OPERATIONAL,
    )
    backoff_seconds: float = Field(
        default=1.0,
        gt=0,
        description="pause before a second attempt, doubled each time",
        json_schema_extra=_OPERATIONAL,
    )
    max_backoff: float = Field(
        default=60.0,
        ge=0,
        description="longest pause that is waited for; a host that asks for more is left alone, its rest deferred",
        json_schema_extra=_OPERATIONAL,
    )
    host_failures: int = Field(
        default=8,
        ge=1,
        description="time-outs and refused connections in a row after which a host's rest fails as host_unreachable",
        json_schema_extra=_OPERATIONAL,
    )
    ca_file: str | None = Field(
        default=None,
        description="PEM file of the certificate authorities; the system's when null",
        json_schema_extra=_OPERATIONAL,
    )

    @field_validator("allow_hosts", "opt_out_list")
    @classmethod
    def _no_blanks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not entry.strip() for entry in value):
            raise ValueError("entries must not be empty")
        return tuple(entry.strip().lower() if "://" not in entry else entry.strip() for entry in value)

    @field_validator("allow_hosts")
    @classmethod
    def _hosts_only(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("/" in entry for entry in value):
            raise ValueError("write a host or host:port, such as 127.0.0.1:8000, without http:// and path")
        return value

    @property
    def agent(self) -> str:
        """The product token of the user agent, lower case."""
        return self.user_agent.partition("/")[0].lower()
