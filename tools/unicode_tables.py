#!/usr/bin/env python3
"""unicode_tables.py > src/text/unicode/unicode_tables.c: the character classes that the caption operators need.

Data-Juicer's operators see text through Python's str methods and through the `regex` module, so the classes are asked of these two rather than
of a Unicode database: run with Python 3.11 (Unicode 14), regex 2026.11.15 and emoji 2.2.0 (the release that Data-Juicer pins). The output is
committed; nothing of this runs in a build."""
import string
import sys

import emoji
import regex

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

# Data-Juicer's special characters beyond ASCII punctuation, digits, white space and emoji.
LISTED = [int(x, 16) for x in """
81 82 83 84 85 91 92 93 95 96 97 98 99 9C 9D A1 A2 A3 A4 A5 A6 A7 A8 A9 AA AB AD AE AF B0 B1 B2 B3 B4 B7 B8 B9 BA BB BC BD BE BF D7 F7 F8 131
26A 2BA 2BB 2BC 2C8 2CC 2D0 2D8 2DA 2DC 3C0 413 60C 647 66A 66C 6E9 93E 940 947 94D 97D 9BE E51 2002 2003 2005 2008 2009 200A 200B 2010 2011
2013 2014 2015 2016 2018 2019 201A 201C 201D 201E 201F 2020 2022 2024 2026 202F 2030 2032 2033 2039 203A 203F 2043 2044 20A8 20AA 20AC 2103
2122 2190 2191 2192 2193 21D3 2206 2208 2212 221A 221E 221F 223C 2248 2256 2264 2265 2295 22C5 2550 25A0 25AC 25B2 25B4 25B7 25BA 25BB 25BC
25C6 25CF 25E6 2605 2606 261B 263B 2661 2665 266B 2713 2726 2731 2756 27A4 27A9 2800 3000 3001 3002 300A 300B 300C 300D 3010 3011 309C 30B7
30C3 30C4 30F3 30FB 30FC 4E00 4E0A 58EB FD3E FD3F FEFF FF01 FF08 FF09 FF0C FF0E FF11 FF1A FF1B FF1F FF3E FF5E FFFC FFFD""".split()]
SPECIAL = {ord(c) for c in string.punctuation + string.digits + string.whitespace} | set(LISTED) | {ord(k) for k in emoji.EMOJI_DATA if len(k) == 1}

# What whitespace_normalization_mapper replaces by a space.
NORMALISED = {0x09, 0x20, 0x84, 0xA0, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFFFC}


def matches(pattern):
    r = regex.compile(pattern)
    return {c for c in ALL if r.fullmatch(chr(c))}


def after(c, before):
    """Whether a capital sigma at the end of before + c becomes a final one: what shows the Cased and Case_Ignorable properties."""
    return (before + chr(c) + '\u03a3').lower().endswith('\u03c2')


IGNORABLE = {c for c in ALL if after(c, 'A') and not after(c, ' ')}
CASED = {c for c in ALL if after(c, 'A') and after(c, ' ')}
FLAGS = [
    ('ALNUM', {c for c in ALL if chr(c).isalnum()}),
    ('SPECIAL', SPECIAL),
    ('SPACE', {c for c in ALL if chr(c).isspace()}),
    ('LINE_BREAK', {c for c in ALL if len(('a%sb' % chr(c)).splitlines()) == 2}),
    ('NORMALISED', NORMALISED),
    ('RE_SPACE', matches(r'\s')),
    ('RE_DIGIT', matches(r'\d')),
    ('RE_WORD', matches(r'\w')),
    ('RE_PUNCT', matches(r'\p{P}')),
    ('CASED', CASED),
    ('IGNORABLE', IGNORABLE),
]
BLOCK = 128


def record(c):
    if 0xD800 <= c < 0xE000:
        return 0, 0
    low = chr(c).lower()
    delta = ord(low) - c if len(low) == 1 else 0   # U+0130 is handled in code
    return sum(1 << i for i, (_, s) in enumerate(FLAGS) if c in s), delta


def rows(values, per_line):
    return ''.join('    %s,\n' % ', '.join(map(str, values[i:i + per_line])) for i in range(0, len(values), per_line))


def main():
    classes, blocks, index = {}, {}, []
    for start in range(0, 0x110000, BLOCK):
        block = tuple(classes.setdefault(record(c), len(classes)) for c in range(start, start + BLOCK))
        index.append(blocks.setdefault(block, len(blocks)))
    assert len(classes) <= 256 and len(blocks) <= 65536 and len(SPECIAL) == 1618
    out = sys.stdout
    out.write('/* unicode_tables.c - made by tools/unicode_tables.py; do not edit. Python %d.%d, regex %s, emoji %s. */\n#include "text/unicode/unicode.h"\n\n'
              % (*sys.version_info[:2], regex.__version__, emoji.__version__))
    out.write('const sv_char_class sv_char_classes[%d] = {\n' % len(classes))
    out.write(''.join('    {%d, 0x%x},\n' % (delta, flags) for flags, delta in classes))
    out.write('};\n\nconst uint16_t sv_char_blocks[%d] = {\n%s};\n' % (len(index), rows(index, 32)))
    flat = [x for b in blocks for x in b]
    out.write('\nconst uint8_t sv_char_class_of[%d] = {\n%s};\n' % (len(flat), rows(flat, 32)))


main()
