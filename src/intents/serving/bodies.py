"""A request's body, read so that it has one meaning or none: the texts, and the parameters of predict.

MLflow's own reader takes the last of two `inputs`, leaves keys out, skips blank lines, takes a first text for a header,
and quotes what was sent in its errors. A server of this model reads with this one in its place.
"""

import csv
import io
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
from mlflow.pyfunc import scoring_server
from mlflow.pyfunc.scoring_server import InvocationsResponse

from intents.serving import tables
from intents.serving.refusal import bad_request, other_type

MOST_RUNNERS_UP = 1_000
PARAMS = scoring_server.SERVING_PARAMS_KEY
RECORDS, SPLIT = scoring_server.DF_RECORDS, scoring_server.DF_SPLIT


class Asked(NamedTuple):
    """What a request asks. Whether these are texts is for the model to say."""

    texts: Any
    params: dict[str, Any]


def serve() -> None:
    """From now on MLflow's server, in this process, reads its requests with `read`."""
    scoring_server.invocations = _invocations


def _invocations(body: bytes, content_type: str | None, model: Any, _: object) -> InvocationsResponse:
    texts, params = read(body, content_type)
    answer = io.StringIO()
    scoring_server.predictions_to_json(model.predict(texts, params=params), answer)
    return InvocationsResponse(answer.getvalue(), 200, scoring_server.CONTENT_TYPE_JSON)


def read(body: bytes, content_type: str | None) -> Asked:
    """What the body asks. Raises Refusal, which quotes nothing of it."""
    kind, *parameters = [part.strip().lower() for part in (content_type or "").split(";")]
    if kind not in _READERS:
        raise other_type(f"Content-Type: expected one of {', '.join(_READERS)}")
    if not set(parameters) <= {"", "charset=utf-8", 'charset="utf-8"'}:
        raise other_type("Content-Type: expected no parameter but charset=utf-8")
    return _READERS[kind](body)


def checked_params(found: Any) -> dict[str, Any]:
    """The parameters of predict, those that were given. Raises Refusal."""
    if not isinstance(found, dict) or not found.keys() <= {"top_k", "threshold"}:
        raise bad_request("params: expected an object with top_k, threshold or both, and nothing else")
    top_k, threshold = found.get("top_k", 0), found.get("threshold", 0)
    if not _is_number(top_k, int) or not 0 <= top_k <= MOST_RUNNERS_UP:
        raise bad_request(
            f"params: top_k={_shown(top_k)}, expected a whole number from 0 to {MOST_RUNNERS_UP}."
        )
    if not _is_number(threshold, int | float) or not abs(threshold) <= sys.float_info.max:
        raise bad_request(f"params: threshold={_shown(threshold)}, expected an energy: any finite number.")
    return found


def json_type(value: Any) -> str:
    """What a value is, in JSON's words where JSON has it."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    names |= {int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return repr(value)[:40] if _is_number(value, int | float) else json_type(value)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_request(f"the body is not UTF-8: byte {error.start:,}") from None


def _json(body: bytes) -> Asked:
    content = _parsed(_text(body))
    if not isinstance(content, dict):
        raise bad_request(f"the body: expected an object, found {json_type(content)}")
    forms = content.keys() - {PARAMS}
    if len(forms) != 1 or not forms <= _FORMS.keys():
        found = ", ".join(sorted(name if name in _NAMED else "a key of another name" for name in forms))
        raise bad_request(
            f"the body: expected inputs, and params if wanted, and nothing else; found {found or 'neither'}"
        )
    (form,) = forms
    params = content.get(PARAMS)
    return Asked(_FORMS[form](content[form]), checked_params({} if params is None else params))


def _parsed(text: str) -> Any:
    """The value of JSON in which no key stands twice. NaN is read: the row that holds it is then named."""
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise bad_request(f"the body is not JSON: {error.msg} (character {error.pos:,})") from None
    except ValueError:
        raise bad_request("the body holds a number of thousands of digits") from None
    except RecursionError:
        raise bad_request("the body is nested too deeply") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise bad_request("the body: an object has a key twice")
    return content


def _records(rows: Any) -> list[Any]:
    """The texts of a table that is written as a list of objects."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise bad_request(f"{RECORDS}: expected a list of objects")
    if not rows:
        return []
    names = list(dict.fromkeys(name for row in rows for name in row))
    name = names[tables.place(names)]
    return [row.get(name) for row in rows]


def _split(table: Any) -> list[Any]:
    """The texts of a table that is written as its columns' names and its rows."""
    is_table = isinstance(table, dict) and {"columns", "data"} <= table.keys() <= {"columns", "data", "index"}
    if not is_table or not all(isinstance(part, list) for part in (table["columns"], table["data"])):
        raise bad_request(f"{SPLIT}: expected an object with the lists columns and data, index if wanted")
    if not all(isinstance(row, list) for row in table["data"]):
        raise bad_request(f"{SPLIT}: expected each row of data to be a list")
    return tables.picked(table["columns"], table["data"])


def _csv(body: bytes) -> Asked:
    reader = csv.reader(io.StringIO(_text(body), newline=""), strict=True)
    try:
        names, *rows = list(reader) or [[]]
    except csv.Error as error:
        raise bad_request(f"the body is not CSV: {error}, in line {reader.line_num:,}") from None
    if tables.TEXT not in names:  # the only column's name may be a text, where the header is left out
        raise bad_request(f"the body's first line: expected the columns' names, one of them {tables.TEXT}")
    if [] in rows:
        raise bad_request(f"row {rows.index([])}: the line is blank")
    return Asked(tables.picked(names, rows), {})


def _parquet(body: bytes) -> Asked:
    try:
        table = pd.read_parquet(io.BytesIO(body))
    except Exception:  # a damaged file breaks in any way
        raise bad_request("the body can't be read as Parquet") from None
    return Asked(tables.texts(table), {})


_FORMS: dict[str, Callable[[Any], Any]] = {
    scoring_server.INPUTS: lambda texts: texts,
    RECORDS: _records,
    SPLIT: _split,
}
_NAMED = {*_FORMS, scoring_server.INSTANCES}
_READERS: dict[str, Callable[[bytes], Asked]] = {
    scoring_server.CONTENT_TYPE_JSON: _json,
    scoring_server.CONTENT_TYPE_CSV: _csv,
    scoring_server.CONTENT_TYPE_PARQUET: _parquet,
}
