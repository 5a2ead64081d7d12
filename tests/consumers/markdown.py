"""Reports in Markdown as independent readers show them.

Of each file NAME.md in the folder that is given: its heading must be the text of NAME.title; nothing in it may have become
anything but headings, lists, tables and code; and the blocks of code are written to NAME.READER.blocks, a NUL after each.
"""

import html.parser
import pathlib
import sys

try:
    import markdown_it
    import mistune
except ImportError as missing:
    sys.exit(print(f"skipped: {missing}; run tests/setup/python.sh", file=sys.stderr))

# Every extension that a reader of tickets may have.
PLUGINS = "abbr def_list footnotes insert mark math ruby spoiler strikethrough subscript superscript table task_lists url"
READERS = {
    "markdown-it": markdown_it.MarkdownIt("gfm-like", {"typographer": True}).enable(["replacements", "smartquotes"]).render,
    "mistune": mistune.create_markdown(escape=False, plugins=PLUGINS.split()),
}
OURS = set("h1 h2 p ul ol li table thead tbody tr th td pre code".split())


class Shown(html.parser.HTMLParser):
    """What a browser shows of it."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.title, self.blocks = set(), [], "", []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.open.append(tag)
        # The language of a block, which is ours, and the alignment of a column.
        assert set(dict(attributes)) <= {"class", "style"}, (tag, attributes)
        if tag == "pre":
            self.blocks.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_data(self, data):
        if "h1" in self.open:
            self.title += data
        if "pre" in self.open:
            self.blocks[-1] += data


for report in sorted(pathlib.Path(sys.argv[1]).glob("*.md")):
    for name, render in READERS.items():
        shown = Shown()
        shown.feed(render(report.read_text()))
        shown.close()
        assert shown.tags <= OURS, (name, shown.tags - OURS, report.read_text())
        title = report.with_suffix(".title").read_text()
        assert shown.title == title, (name, shown.title, title)
        blocks = "".join(block + "\0" for block in shown.blocks)
        report.with_suffix(f".{name}.blocks").write_text(blocks)
