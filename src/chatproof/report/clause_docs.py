"""The contract as a page of Markdown, a heading a clause: what reports link to. Knows no run."""

from __future__ import annotations

from collections.abc import Iterator

from chatproof.contract import Clause, Contract

HEAD = """# The clauses

Every promise that a deployment is held to. Ids are public: they stand in reports, target files and tickets, and never
change their meaning. A violated MUST fails a run, a violated SHOULD warns (`--strict` fails it too), OBSERVE is
recorded and never judged. Sources: S is the document on text and chat, L a page that it links to, O OpenAI's
published API, D what follows from the clauses named.

This page is written by `chatproof clauses --markdown`."""


def clause_docs(contract: Contract) -> str:
    """The whole page."""
    blocks = [HEAD]
    for section in contract.sections:
        blocks.append(f"## {section}")
        blocks += [part for clause in contract.section(section) for part in _clause(clause, contract)]
    return "\n\n".join(blocks) + "\n"


def _clause(clause: Clause, contract: Contract) -> Iterator[str]:
    yield f"### {clause.id}"
    yield f"**{clause.level}** · {clause.sentence}"
    if clause.unchecked:
        yield f"No run judges it: {clause.unchecked}."
    elif clause.every:
        yield f"Judged on every exchange of its kind, load traffic and recordings included. Source: {clause.source}."
    else:
        yield f"Judged by probes of its own. Source: {clause.source}."
    for open_question in contract.ambiguities_of(clause.id):
        setting = f" `settings.{open_question.setting}` says otherwise." if open_question.setting else ""
        asked, taken = open_question.question, open_question.default
        yield f"Left open by the sources: {asked} Taken: {taken} ({open_question.why}).{setting}"
