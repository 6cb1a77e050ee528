"""`ringfence ledger …`: the books, looked at from outside the service."""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
import asyncio

import typer

from server.cli.options import Config, Json, settings_for

EXIT_DIFFERS = 1

app = typer.Typer(
    help="Check the ledger.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def ledger() -> None:
    """Check the ledger."""


@app.command()
def check(
    json: Json = False,
    config: Config = None,
) -> None:
    """Compare every balance with the sum of its entries; exit code 1 if one differs.

    Reads the whole ledger in one snapshot, while money moves on; a million entries
    take a second or two.
    """
    import msgspec

    from server.money.ledger_check import check_ledger
    from server.postgres.urls import application_url

    report = asyncio.run(check_ledger(application_url(settings_for(config))))
    if json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        typer.echo(
            f"{report.accounts} accounts with {report.balances_sum} in all, "
            f"{report.entries} entries, {report.seconds:.1f} s"
        )
        for one in report.differences:
            balance = "no account" if one.balance is None else f"balance {one.balance}"
            typer.echo(f"  user {one.user_id}: {balance}, entries {one.entries_sum}")
        typer.echo(
            "Every balance is the sum of its entries."
            if report.is_sound
            else f"{report.differing} accounts differ from their entries."
        )
    if not report.is_sound:
        raise typer.Exit(EXIT_DIFFERS)
