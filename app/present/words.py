"""What a finding says: the same words in the window, in the report and in ``modelight check``."""

from __future__ import annotations

from modelight.phrases import phrase
from modelight.protocol import Clause, Finding


def finding_words(finding: Finding) -> tuple[str, list[str]]:
    """Title and sentences of a finding. Figures that matter stand between ``**``.

    ``values["title"]`` and ``values["say"]`` name the phrases where a finding has several ways to be said; without
    them these are ``ID.title`` and ``ID.body``.
    """
    title = str(finding.values.get("title") or f"{finding.id}.title")
    say = finding.values.get("say")
    ids = [str(one) for one in say] if isinstance(say, list) else [f"{finding.id}.body"]
    return phrase(Clause(title, finding.values)), [phrase(Clause(id_, finding.values)) for id_ in ids]
