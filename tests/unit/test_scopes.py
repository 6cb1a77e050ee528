"""The table of routes and scopes: nothing is served that it does not name."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from server.access.administration import shown
from server.access.tokens import ANYBODY, SCOPES, Caller, fault_of_scopes, id_in, make_token, named_id
from server.cli.token import wanted
from server.errors import ConfigurationError
from server.settings import Settings
from server.web.application import Services, make_application
from server.web.contract.document import make_document
from server.web.contract.operations import OPERATIONS
from server.web.handlers import JsonHandler
from server.web.scopes import NEEDS, Need, need_of


@pytest.fixture
def served(tmp_path: Path) -> set[tuple[str, str]]:
    """Every method of every route of the application."""

    class Unasked:
        """Stands for what handlers ask when a request comes; none does here."""

        url = ""

    nothing = Unasked()
    services = Services(
        **dict.fromkeys(Services.__dataclass_fields__, nothing)
        | {"settings": Settings(home=tmp_path, source="test")}
    )
    application = make_application(services, nothing, nothing)
    rules = application.default_router.rules[0].target.rules
    return {
        (method, rule.target_kwargs["route"])
        for rule in rules
        if issubclass(rule.target, JsonHandler)
        for method in rule.target.allowed
        if method not in {"HEAD", "OPTIONS"}
    }


def test_every_method_of_every_route_has_its_line_and_no_line_is_left_over(served) -> None:
    assert served == set(NEEDS)


def test_a_route_without_a_line_is_for_admin_alone() -> None:
    assert need_of("POST", "/brand-new") == Need("admin")


def test_head_needs_what_get_needs_and_options_nothing() -> None:
    assert need_of("HEAD", "/tasks") == need_of("GET", "/tasks") == Need("read")
    assert need_of("OPTIONS", "/withdraw") is None


def test_what_changes_something_is_open_to_nobody_but_for_signing_in() -> None:
    open_ones = {route for (method, route), need in NEEDS.items() if need is None and method != "GET"}
    assert open_ones == {"/session"}


def test_a_token_of_one_account_reaches_only_what_belongs_to_accounts() -> None:
    of_account = {route for (_, route), need in NEEDS.items() if need is not None and need.of_account}
    assert of_account == {
        "/withdraw",
        "/deposit",
        "/withdrawals",
        "/users/{userId}",
        "/users/{userId}/entries",
        "/requests/{requestId}",
    }


def test_the_document_names_the_scope_of_each_operation_and_its_refusals() -> None:
    document = make_document(OPERATIONS, is_token_required=True)
    assert set(document["components"]["securitySchemes"]) == {"bearer", "session"}
    for one in OPERATIONS:
        described = document["paths"][one.path][one.method]
        need = need_of(one.method.upper(), one.path)
        if need is None:
            assert "security" not in described, one.path
            continue
        assert described["security"] == [{"bearer": [need.scope]}, {"session": [need.scope]}], one.path
        assert {"401", "403", "503"} <= set(described["responses"]), one.path


def test_the_document_of_an_instance_that_needs_none_says_so() -> None:
    document = make_document(OPERATIONS)
    assert document["paths"]["/tasks"]["get"]["security"][0] == {}


def test_admin_implies_every_scope_and_no_other_implies_any() -> None:
    for scope in SCOPES:
        assert Caller("0" * 12, "", frozenset({"admin"})).may(scope)
        others = frozenset(SCOPES) - {scope, "admin"}
        assert not Caller("0" * 12, "", others).may(scope)
        assert ANYBODY.may(scope)


def test_no_two_tokens_are_alike_and_each_holds_its_public_id() -> None:
    made = [make_token() for _ in range(1000)]
    assert len({one.text for one in made}) == len({one.id for one in made}) == 1000
    for one in made:
        assert id_in(one.text) == one.id
        assert one.text.startswith(f"rf_{one.id}_")
        assert named_id(f"rf_{one.id}") == named_id(one.id) == one.id


@pytest.mark.parametrize(
    "text",
    ["", "rf_", "rf_0123456789ab_", "rf_0123456789AB_" + "x" * 43, "rf_0123456789ab_" + "x" * 44, "é" * 59],
)
def test_what_is_no_token_has_no_id(text: str) -> None:
    assert id_in(text) is None


@pytest.mark.parametrize(
    ("scopes", "user_id", "is_right"),
    [
        (["money"], None, True),
        (["read", "money"], 1, True),
        (["admin"], None, True),
        ([], None, False),
        (["root"], None, False),
        (["operate"], 1, False),
        (["admin"], 1, False),
    ],
)
def test_scopes_that_no_token_can_have_are_named(scopes, user_id, is_right: bool) -> None:
    assert (fault_of_scopes(scopes, user_id) is None) == is_right


@pytest.mark.parametrize(
    ("scopes", "user", "expires", "said"),
    [
        ([""], None, None, "--scope: expected some of"),
        (["money,everything"], None, None, "--scope: expected some of"),
        (["operate", "admin"], 1, None, "--scope: a token of one account"),
        (["read"], None, "soon", "--expires: "),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_the_option_that_is_wrong(
    scopes, user, expires, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        wanted(scopes, "", user, expires)


def test_scopes_come_by_commas_and_by_repetition() -> None:
    assert list(wanted(["money, read", "operate"], "", None, "90d").scopes) == ["money", "read", "operate"]


def test_what_is_shown_of_a_new_token_is_in_utc_whatever_zone_the_driver_read_it_in() -> None:
    assert shown(datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))) == "2026-01-01T00:00:00Z"
    assert shown(None) is None
