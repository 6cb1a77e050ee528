"""Whether an answer is one that /openapi.json promises: asked of every answer that the tests get over HTTP."""

import json
import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

from server.web.contract.document import ALWAYS, openapi_document

ANYWHERE = {"not_found", "method_not_allowed", *(error.code for error in ALWAYS)}
"""The problems of requests that belong to no operation, or to a file."""


class BrokenContractError(AssertionError):
    """An answer is not what the document promises."""


@cache
def document():
    return json.loads(openapi_document())


@cache
def patterns():
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), path)
        # Fixed paths before those with places.
        for path in sorted(document()["paths"], key=lambda path: path.count("{"))
    ]


@cache
def validator(path: str, method: str, status: str, media_type: str) -> Draft202012Validator:
    responses = document()["paths"][path][method]["responses"]
    if status not in responses:
        raise BrokenContractError(f"{method} {path}: {status} is not in the document")
    content = responses[status].get("content")
    if content is None:
        return Draft202012Validator({"const": ""})
    if media_type not in content:
        raise BrokenContractError(f"{method} {path}: {status} as {media_type} is not in the document")
    return Draft202012Validator({**content[media_type]["schema"], "components": closed_components()})


@cache
def closed_components():
    """As in the document, but nothing that it does not name: clients must allow more, these tests don't."""
    components = json.loads(json.dumps(document()["components"]))
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return components


def events(stream: str) -> Iterator[dict[str, str]]:
    """The events of a stream, without comments and without what only says where it stands."""
    for block in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            yield fields


def check_answer(method: str, target: str, status: int, content_type: str | None, body: bytes) -> None:
    """Raises BrokenContractError for an answer that the document does not promise."""
    path = urlsplit(target).path
    known = next((known for pattern, known in patterns() if pattern.fullmatch(path)), None)
    if known is None or method.lower() not in document()["paths"][known]:
        if status >= 400 and method != "HEAD":
            code = json.loads(body)["code"]
            if code not in ANYWHERE and known is None:
                raise BrokenContractError(f"{method} {target}: {status} {code} belongs to no operation")
        return
    media_type = (content_type or "").partition(";")[0]
    checker = validator(known, method.lower(), str(status), media_type)
    values = [json.loads(body) if body and "json" in media_type else body.decode("utf-8", "replace")]
    if media_type == "text/event-stream":
        values = list(events(body.decode()))
    faults = [
        f"{error.json_path}: {error.message[:300]}"
        for value in values
        for error in checker.iter_errors(value)
    ]
    if faults:
        raise BrokenContractError(f"{method} {target}: {status}: {'; '.join(faults[:5])}")
