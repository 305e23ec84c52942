"""Chinese output as the official system writes it: no spaces, and punctuation as wide as characters.

half_to_full("你好, 世界!")                              # 你好，世界！
half_to_full("Hello 世界.", official=False)              # Hello世界。
"""

from __future__ import annotations

import re
import string

_WIDE = str.maketrans(",.!?:;()", "，。！？：；（）")
_HAN = "[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]"


def half_to_full(text: str, official: bool = True) -> str:
    """Full-width punctuation.

    The official rule joins Latin words, leaves punctuation beside a digit as it is, makes `．` of a full stop at the
    end, and takes the last character for the neighbour of the first.

    Args:
        text: A line.
        official: Otherwise only what touches Chinese is changed, and a full stop becomes `。`.
    """
    if not official:
        beside = rf"(?<={_HAN})[,.!?:;()]+|[,.!?:;()]+(?={_HAN})"
        text = re.sub(beside, lambda found: found[0].translate(_WIDE), text)
        return re.sub(rf"(?<={_HAN}) +| +(?={_HAN})", "", text)
    text = text.replace(" ", "")
    found = []
    for place, character in enumerate(text):
        beside = text[place - 1] + text[place + 1 : place + 2]
        converted = character in string.punctuation and not any(map(str.isdigit, beside))
        found.append(chr(ord(character) + 0xFEE0) if converted else character)
    return "".join(found)
