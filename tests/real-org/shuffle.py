"""Shuffles the keyed root children of metadata files, byte by byte, without any parser of the project's.

The order of differently named siblings does not count; siblings of one name may change places when each has a key of
its own. So the root's children are laid out anew: groups whose members all have distinct keys in any order, others in
their own. Reports, dashboards and pages are left as they are: people see their order.
"""
import re
from xml.etree import ElementTree

KEYS = ("fullName", "name", "field", "apexClass", "apexPage", "object", "tab", "recordType", "application", "layout",
        "flow", "customPermission")
ORDERED = ("Report", "Dashboard", "FlexiPage")
OVERRIDES = {"layoutAssignments": ("layout", "recordType")}
TAG = re.compile(rb"<(/?)([A-Za-z_][\w.:-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)(/?)>|<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>", re.S)


def root_children(text):
    """Byte spans (start, end, name) of the root's child elements, and the span they fill."""
    depth, spans, begin = 0, [], None
    for tag in TAG.finditer(text):
        if tag.group(2) is None:
            continue
        closing, alone = tag.group(1) == b"/", tag.group(4) == b"/"
        if not closing and depth == 1:
            begin = tag.start()
        if not closing and not alone:
            depth += 1
        if closing:
            depth -= 1
        if depth == 1 and begin is not None and (closing or alone):
            spans.append((begin, tag.end(), tag.group(2).decode()))
            begin = None
    return spans


def key_of(xml, name):
    node = ElementTree.fromstring(re.sub(rb"\bxsi:", b"", xml))
    children = {child.tag: (child.text or "") for child in node}
    if name in OVERRIDES:
        found = tuple(children.get(part) for part in OVERRIDES[name])
        return found if found[0] is not None else None
    return next(((key, children[key]) for key in KEYS if key in children), None)


def shuffle_file(path, rng):
    text = path.read_bytes()
    root = re.search(rb"<([A-Za-z_][\w.]*)[\s>]", text[text.find(b"?>") + 1:])
    if not text.lstrip().startswith(b"<?xml") or root is None or root.group(1).decode() in ORDERED:
        return False
    spans = root_children(text)
    groups = {}
    for begin, end, name in spans:
        groups.setdefault(name, []).append(text[begin:end])
    for name, members in groups.items():
        keys = [key_of(member, name) for member in members]
        if None not in keys and len(set(keys)) == len(keys):
            rng.shuffle(members)
    names = [name for _, _, name in spans]
    rng.shuffle(names)
    if len(spans) < 2:
        return False
    body = b"\n    ".join(groups[name].pop(0) for name in names)
    changed = text[:spans[0][0]] + body + text[spans[-1][1]:]
    path.write_bytes(changed)
    return changed != text


def shuffle_tree(folder, rng):
    """Shuffles every XML file below `folder`; says how many files changed."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "package.xml"]
    return sum(shuffle_file(path, rng) for path in files)
