"""Counting differing bits without an instruction for it: carry-save adders, for a number of words known when C is written.

Three words of the same weight become one of that weight and one of twice it (a full adder of 32 columns, five operations), two
become the same with three operations; so the words of a patch shrink to one a power of two, and only those are counted.

References:
    Harley and Seal's method as in Warren, "Hacker's Delight", 2nd edition, section 5-1.
"""

_MOST = 63  # words at once: what is counted beyond that is cheap, and the code grows with it
_IN_BYTES = 5  # powers of two, from 1 on, of which a byte holds the sum: 8 (2^5 - 1) is below 256
LANES = (16, 8, 4)


def chunks(words: int) -> list[int]:
    """Return how a patch is cut, as evenly as can be, into so many words that are counted at once."""
    count = -(-words // _MOST)
    base, longer = divmod(words, count)
    return [base + 1] * longer + [base] * (count - longer)


def differ_function(words: int, lanes: int) -> str:
    """Return the C function that counts the differing bits of `words` words and of weights that lie `lanes` words apart."""
    lines = [f"static nn_word nn_differ_{words}_{lanes}(const nn_word *x, const uint32_t *w)", "{"]
    writer = _Writer()
    levels: list[list[str]] = [[]]
    for word in range(words):
        at = f"w + {word * lanes}" if word else "w"
        writer.add_to(levels, 0, writer.name(f"x[{word}] ^ NN_WORD({at})"))
    for level in range(32):
        if level >= len(levels):
            break
        if len(levels[level]) == 2:  # noqa: PLR2004 - a half adder
            first, second = levels[level]
            levels[level] = [writer.name(f"{first} ^ {second}")]
            writer.add_to(levels, level + 1, writer.name(f"{first} & {second}"))
    names = [entries[0] for entries in levels if entries]
    lines += [f"  {line}" for line in [*writer.lines, *_count(writer, names)]]
    return "\n".join([*lines, "}", ""])


class _Writer:
    """Writes one assignment a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def name(self, expression: str) -> str:
        """Write a new variable and return its name."""
        name = f"v{self._count}"
        self._count += 1
        self.lines.append(f"const nn_word {name} = {expression};")
        return name

    def add_to(self, levels: list[list[str]], level: int, name: str) -> None:
        """Put a word among those of its weight; three of them are added up."""
        while len(levels) <= level:
            levels.append([])
        levels[level].append(name)
        if len(levels[level]) == 3:  # noqa: PLR2004 - a full adder
            a, b, c = levels[level]
            either = self.name(f"{a} ^ {b}")
            carry = self.name(f"({a} & {b}) | ({either} & {c})")
            levels[level] = [self.name(f"{either} ^ {c}")]
            self.add_to(levels, level + 1, carry)

    def sum_of(self, in_bytes: list[str]) -> str:
        """Add up counts of powers of two, each byte by itself."""
        total = in_bytes[-1]
        for name in reversed(in_bytes[:-1]):
            total = self.name(f"({total} << 1) + {name}")
        return total


def _count(writer: _Writer, names: list[str]) -> list[str]:
    """Return the lines that count one word of each power of two, from 1 on."""
    before = len(writer.lines)
    in_bytes = []
    for name in names:
        pairs = writer.name(f"{name} - ({name} >> 1 & 0x55555555u)")
        nibbles = writer.name(f"({pairs} & 0x33333333u) + ({pairs} >> 2 & 0x33333333u)")
        in_bytes.append(writer.name(f"({nibbles} + ({nibbles} >> 4)) & 0x0f0f0f0fu"))
    total = writer.sum_of(in_bytes[:_IN_BYTES])
    if 32 * (2 ** min(len(names), _IN_BYTES) - 1) <= 255:  # noqa: PLR2004 - fits a byte
        result = f"NN_BYTES({total})"
    else:
        halves = writer.name(f"({total} & 0x00ff00ffu) + ({total} >> 8 & 0x00ff00ffu)")
        result = f"({halves} + ({halves} >> 16)) & 0xffffu"
    if high := in_bytes[_IN_BYTES:]:
        result = f"({result}) + (NN_BYTES({writer.sum_of(high)}) << {_IN_BYTES})"
    added = writer.lines[before:]
    del writer.lines[before:]
    return [*added, f"return {result};"]


def dot_function(words: int, lanes: int) -> str:
    """Return the C function of a whole patch and so many lanes, and its name's macro is `NN_DOT`."""
    parts = []
    at = 0
    for size in chunks(words):
        parts.append(f"nn_differ_{size}_{lanes}(bits + {at}, weights + {at * lanes})")
        at += size
    total = " +\n                   ".join(parts)
    given = "const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels"
    return f"""static void nn_dot_{words}_{lanes}({given})
{{
  NN_BITS({words});
  unsigned lane;
  (void)pixels;
  for (lane = 0; lane < {lanes}; lane += NN_AT_ONCE, weights += NN_AT_ONCE)
    NN_PUT(counts + lane, {total});
}}
"""
