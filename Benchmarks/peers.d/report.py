"""Writes results into a Markdown page: the parts between its markers, and charts beside it. All else in the page stays."""

import glob
import json
import os
import re

from chart import chart
from settings import COLLECTIVES, KIB
from table import Table, figure, is_in_detail, size_name
from targets import TARGETS, least_of_peers, verdict

FABRICS = {"shm": "shared memory", "rxe": "soft-RoCE"}
MODES = {"dirty": "buffers rewritten before each call", "warm": "calls back to back"}
PLACES = {"in": "in place", "out": "out of place"}
# Whose memory we exchange; a peer's is always its caller's.
BUFFERS = {"engine": "", "caller": ", the caller's memory"}
# MPI's broadcast has one buffer.
NOT_OF_MPI = ("broadcast", "out")
# Columns that are not contestants in the race, and what they are called when ratios name them.
REFERENCES = {"bound": "bound", "limit": "ring limit"}
TARGETS_HEADER = ["figure", "wanted", "ratio", "ours : theirs", "met"]
PARTS = ("machine", "targets", "collectives", "tables")


class PageError(Exception):
    """The page cannot be written; the text says why."""


def what(result):
    return f"{result['collective'].replace('_', '-')} {PLACES[result['place']]}{BUFFERS[result['buffers']]}"


def file_name(result):
    name = f"{result['fabric']}-{result['ranks']}"
    if is_in_detail(result):
        return name
    return "-".join([name, result["collective"], result["place"]] + ([] if result["buffers"] == "engine" else [result["buffers"]]))


def save(result, folder):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, file_name(result) + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1 if is_in_detail(result) else None)
        file.write("\n")
    return path


def load(folder):
    """The results of a folder: shared memory first, then by ranks, whose memory, collectives and places."""
    results = []
    for path in glob.glob(os.path.join(glob.escape(folder), "*.json")):
        with open(path, encoding="utf-8") as file:
            results.append(json.load(file))
    return sorted(results, key=lambda result: (
        result["fabric"] != "shm", result["ranks"], result["buffers"] != "engine", COLLECTIVES.index(result["collective"]), result["place"]))


def markdown(header, rows):
    """A Markdown table whose columns but the first are right-aligned."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def comparison(table):
    """Header and rows of the table of one result and mode."""
    ours_known = "verbena" in table.titles
    references = [key for key in REFERENCES if any((key, size) in table.best for size in table.sizes)]
    copies = any(("memcpy", size) in table.best for size in table.sizes)
    header = ["size"]
    if ours_known:
        header += ["ours, us", "ours, GB/s"]
    header += [f"{table.titles[peer]}, us" for peer in table.peers]
    header += ["best peer"] + (["ours / best"] if ours_known else [])
    for key in references:
        header += [f"{REFERENCES[key]}, GB/s"] + ([f"ours / {REFERENCES[key]}"] if ours_known else [])
    header += ["memcpy, GB/s"] if copies else []
    rows = []
    for size in table.sizes:
        best = table.best_peer(size)
        row = [size_name(size)]
        if ours_known:
            row += [figure(table.microseconds("verbena", size)), figure(table.bus_bandwidth("verbena", size))]
        row += [figure(table.microseconds(peer, size)) for peer in table.peers]
        row += [table.titles[best[0]] if best else ""] + ([figure(table.ratio(size, "best"))] if ours_known else [])
        for key in references:
            row += [figure(table.bus_bandwidth(key, size))] + ([figure(table.ratio(size, key))] if ours_known else [])
        row += [figure(table.bus_bandwidth("memcpy", size))] if copies else []
        rows.append(row)
    return header, rows


def aligned(table):
    """The same for a terminal."""
    return columns(*comparison(table))


def columns(header, rows):
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in [header, *rows])


def settings_lines(table):
    lines = []
    for peer in [*table.peers, "bound"]:
        used = table.settings_used(peer)
        if used:
            told = "; ".join(f"{setting}: {', '.join(size_name(size) for size in sizes)}" for setting, sizes in used)
            lines.append(f"- {table.titles[peer]}: {told}")
    return "\n".join(lines)


def series_of(table):
    ours = ["verbena"] if "verbena" in table.titles else []
    references = [key for key in REFERENCES if key in table.titles]
    found = []
    for key in ours + table.peers + references:
        name = ("=" if key in references else "") + table.titles[key]
        found.append((name, [(size, table.bus_bandwidth(key, size)) for size in table.sizes]))
    return found


def section(result, folder, link):
    """Text of one result; its charts are written into `folder`, which the page calls `link`."""
    heading = f"{FABRICS[result['fabric']]}, {result['ranks']} ranks"
    parts = [f"### {heading[0].upper()}{heading[1:]}"]
    parts.append(f"Rounds: {result['rounds']}; {result['pointSeconds']:g} s a point.")
    for mode, words in MODES.items():
        table = Table(result, mode)
        if not table.sizes:
            continue
        title = f"{heading}: {words}"
        name = f"{file_name(result)}-{mode}.svg"
        drawing = chart(f"Bus bandwidth of allreduce, fp32 sum; {title}", series_of(table))
        if drawing:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(drawing)
        parts += [f"**{words[0].upper()}{words[1:]}**", markdown(*comparison(table))]
        if drawing:
            parts.append(f"![{title}]({link}/{name})")
        if settings_lines(table):
            parts.append("Best settings:\n\n" + settings_lines(table))
    missing = [f"- {entry['title']}: {entry['reason']}" for entry in result["skipped"]]
    missing += [f"- {entry['title']} ({entry['setting']}): failed: {entry['reason']}" for entry in result["failures"]]
    if missing:
        parts.append("Not measured:\n\n" + "\n".join(missing))
    return "\n\n".join(parts)


def cell(table, size):
    """Our time, and how many times as fast we are as the best peer and as the bound; bold where a peer is too close."""
    times = [table.ratio(size, "best"), table.ratio(size, "bound")]
    text = f"{figure(table.microseconds('verbena', size))} · " + " · ".join(figure(ratio) or "-" for ratio in times)
    least = least_of_peers(table.result["collective"], size)
    return f"**{text}**" if times[0] is not None and times[0] < least else text


def collectives_text(results):
    """One table for each fabric and number of ranks, and the worst of its figures."""
    parts = []
    for key in dict.fromkeys((result["fabric"], result["ranks"]) for result in results):
        tables = [Table(result, "dirty") for result in results if (result["fabric"], result["ranks"]) == key]
        sizes = sorted({size for table in tables if not table.is_in_detail for size in table.sizes})
        if not sizes:
            continue
        rows = [[what(table.result)] + [cell(table, size) if size in table.sizes else "" for size in sizes] for table in tables]
        parts.append(f"**{FABRICS[key[0]][0].upper()}{FABRICS[key[0]][1:]}, {key[1]} ranks**")
        parts.append(markdown([""] + [size_name(size) for size in sizes], rows))
        parts.append(worst_of(tables, sizes))
    return "\n\n".join(parts)


def worst_of(tables, sizes):
    """Which figure is furthest from what is wanted, and how many are below it."""
    found = []
    for table in tables:
        for size in sizes:
            ratio = table.ratio(size, "best")
            if ratio is not None:
                found.append((ratio / least_of_peers(table.result["collective"], size), table, size))
    if not found:
        return "No peer was measured."
    _, table, size = min(found, key=lambda entry: entry[0])
    best, least = table.titles[table.best_peer(size)[0]], least_of_peers(table.result["collective"], size)
    return (
        f"Worst row: {what(table.result)}, {size_name(size)}: {figure(table.ratio(size, 'best'))} of {best}, where {least:g} is wanted; "
        f"{sum(1 for entry in found if entry[0] < 1)} of {len(found)} figures are below what is wanted.")


def shown(table, target):
    """Our figure and the other one: bandwidths, or times where those say more."""
    against = table.best_peer(target.bytes)[0] if target.against == "best" else target.against
    if target.bytes < 64 * KIB:
        unit, ours, theirs = "us", table.microseconds("verbena", target.bytes), table.microseconds(against, target.bytes)
    else:
        unit, ours, theirs = "GB/s", table.bus_bandwidth("verbena", target.bytes), table.bus_bandwidth(against, target.bytes)
    return f"{figure(ours)} : {figure(theirs)} {unit}" + (f" ({table.titles[against]})" if target.against == "best" else "")


def targets_rows(results):
    """The list of what must be shown, with what was."""
    rows, in_detail = [], [result for result in results if is_in_detail(result)]
    for target in TARGETS:
        result = next((found for found in in_detail if (found["fabric"], found["ranks"]) == (target.fabric, target.ranks)), None)
        table = Table(result, target.mode) if result else None
        ratio = table.ratio(target.bytes, target.against) if table else None
        figures = "" if ratio is None else shown(table, target)
        answer = verdict(target, ratio)
        wanted = f"{'>' if target.strictly else '>='} {target.threshold:g} x {REFERENCES.get(target.against, 'best peer')}"
        setting = f"{FABRICS[target.fabric]}, {target.ranks} ranks, {size_name(target.bytes)}, {target.mode}"
        rows.append([setting, wanted, "" if ratio is None else f"{ratio:.3f}", figures, answer])
    return rows


def targets_text(results):
    return markdown(TARGETS_HEADER, targets_rows(results))


def targets_measured(results):
    """For a terminal: only those that these results answer."""
    rows = [row for row in targets_rows(results) if row[2]]
    return columns(TARGETS_HEADER, rows) if rows else ""


def machine_text(results):
    seen = []
    for result in results:
        place = "the guest" if result["fabric"] == "rxe" else "the machine"
        about = result["machine"]
        line = f"- {FABRICS[result['fabric']]}, {result['ranks']} ranks, {what(result)}: {about['day']}, {about['cpu']}, {about['cores']} cores, "
        line += f"Linux {about['kernel']}; load of {place} before: {about['load']}"
        seen.append(line)
    versions = {}
    for result in results:
        for entry in result["contestants"]:
            if entry["version"]:
                versions[entry["title"]] = entry["version"]
    return "\n".join(seen) + "\n\n" + ", ".join(f"{title} {version}" for title, version in versions.items()) + "."


def replace(page, part, text):
    """The page with the text between the part's markers replaced."""
    pattern = re.compile(rf"(<!-- generated: {part} -->\n).*?(<!-- end: {part} -->)", re.DOTALL)
    if not pattern.search(page):
        raise PageError(f"the page has no '<!-- generated: {part} -->' with '<!-- end: {part} -->' after it")
    return pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page, count=1)


def empty_page():
    parts = "\n\n".join(f"<!-- generated: {part} -->\n<!-- end: {part} -->" for part in PARTS)
    return f"# Performance\n\n{parts}\n"


def results_folder(path):
    """Where a page's results and charts are: docs/PERFORMANCE.md has docs/performance."""
    return os.path.join(os.path.dirname(os.path.abspath(path)), os.path.splitext(os.path.basename(path))[0].lower())


def render(path):
    """Writes the page anew from the results beside it."""
    folder = results_folder(path)
    results = load(folder)
    if not results:
        raise PageError(f"{folder} holds no results; measure with --write")
    page = empty_page()
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            page = file.read()
    link = os.path.basename(folder)
    page = replace(page, "machine", machine_text(results))
    page = replace(page, "targets", targets_text(results))
    page = replace(page, "collectives", collectives_text(results))
    page = replace(page, "tables", "\n\n".join(section(result, folder, link) for result in results if is_in_detail(result)))
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)
