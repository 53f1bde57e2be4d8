/* SPDX-License-Identifier: 0BSD */
/*
 * The style sheets. All colours are custom properties, so that one drawing serves a light and a
 * dark screen. The series' colours are those of Okabe and Ito ("Color universal design", 2008),
 * made darker for white paper and lighter for black where their contrast wants it; no meaning hangs
 * on colour alone (dashes, marks and labels say the same).
 */
#include "view/view.h"

#define LIGHT                                                                                    \
        "--paper:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--grid:#e7ebef;--box:#f6f8fa;" \
        "--accent:#0b5cad;--lead:#eaf3fc;--warn:#fff4e0;--warnline:#b26a00;--heat:#0a4f96;"      \
        "--heatink:#fff;--s1:#0072b2;--s2:#d55e00;--s3:#007f5c;--s4:#b0558c;--s5:#a87400;"       \
        "--s6:#3d97cf;--s7:#6b6b6b;--s8:#111"
#define DARK                                                                                  \
        "--paper:#14171b;--ink:#e6e8eb;--soft:#a0a8b2;--line:#3a424c;--grid:#2a3038;--box:#"  \
        "1d2228;"                                                                             \
        "--accent:#79b8ff;--lead:#14283d;--warn:#33270f;--warnline:#e6a23c;--heat:#8cc8ff;"   \
        "--heatink:#0b1622;--s1:#56b4e9;--s2:#ff8a47;--s3:#2fc79b;--s4:#e5a0c8;--s5:#f0b93a;" \
        "--s6:#b5dcf7;--s7:#a8a8a8;--s8:#fff"

const char rs_style_colours[] = ":root{color-scheme:light dark;" LIGHT "}\n"
                                "@media (prefers-color-scheme:dark){:root{" DARK "}}\n";

const char rs_style_plot[] =
        ".rv{font:13px/1.35 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,"
        "sans-serif;fill:var(--ink)}\n"
        ".rv-paper{fill:var(--paper)}\n"
        ".rv-title{font-size:15px;font-weight:600}\n"
        ".rv-soft{fill:var(--soft)}.rv-small{font-size:11px}.rv-lab{font-size:12px}.rv-strong{font-"
        "weight:600}\n"
        ".rv-grid{stroke:var(--grid);fill:none}.rv-axis{stroke:var(--soft);fill:none}\n"
        ".rv-ref{stroke:var(--soft);fill:none;stroke-dasharray:5 4}\n"
        ".rv-halo{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}\n"
        ".rv-line{stroke:var(--c);fill:none;stroke-width:2;stroke-linejoin:round;"
        "stroke-linecap:round}\n"
        ".rv-band{fill:var(--c);fill-opacity:.16}.rv-fill{fill:var(--c)}"
        ".rv-mark{fill:var(--c);stroke:var(--paper)}\n"
        ".rv-whisker{stroke:var(--ink);stroke-width:1.6;fill:none}\n"
        ".rv-cell{fill:var(--heat)}.rv-frame{fill:none;stroke:var(--line)}"
        ".rv-on{fill:var(--heatink)}\n"
        ".rv-s1{--c:var(--s1)}.rv-s2{--c:var(--s2)}.rv-s3{--c:var(--s3)}.rv-s4{--c:var(--s4)}"
        ".rv-s5{--c:var(--s5)}.rv-s6{--c:var(--s6)}.rv-s7{--c:var(--s7)}.rv-s8{--c:var(--s8)}\n"
        ".rv-d2{stroke-dasharray:7 4}.rv-d3{stroke-dasharray:2 4}.rv-d4{stroke-dasharray:9 3 2 "
        "3}\n";

const char rs_style_page[] =
        "*{box-sizing:border-box}\n"
        "body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 "
        "system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif;"
        "overflow-wrap:break-word}\n"
        "main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}\n"
        "h1{font-size:1.75rem;line-height:1.2;margin:.2em 0 .8em}"
        "h2{font-size:1.3rem;line-height:1.25;margin:2.2em 0 .6em;padding-bottom:.25em;"
        "border-bottom:1px solid var(--line)}"
        "h3{font-size:1.05rem;margin:1.6em 0 .4em}\n"
        "p{margin:.7em 0;max-width:46rem}\n"
        ".lead,.warn{font-size:1.08rem;max-width:none;padding:.8em 1em;border-radius:6px;"
        "background:var(--lead);border-left:4px solid var(--accent)}\n"
        ".warn{font-size:1rem;background:var(--warn);border-left-color:var(--warnline)}\n"
        "pre{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.7em "
        ".9em;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 "
        "ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace}\n"
        "figure{margin:1.4em 0}figcaption{color:var(--soft);font-size:.9rem;margin-top:.4em;"
        "max-width:46rem}\n"
        ".scroll{overflow-x:auto}\n"
        ".rv{display:block;width:100%;height:auto}.rv-narrow{display:none}\n"
        "@media (max-width:640px){.rv-wide{display:none}.rv-narrow{display:block}"
        "h1{font-size:1.45rem}}\n"
        "@media print{.rv-narrow{display:none}.rv-wide{display:block}}\n"
        "table{border-collapse:collapse;font-size:.93rem;font-variant-numeric:tabular-nums}"
        "caption{text-align:left;color:var(--soft);font-size:.9rem;padding-bottom:.3em}\n"
        "th,td{padding:.35em .8em .35em 0;text-align:left;vertical-align:top;"
        "border-bottom:1px solid var(--grid);white-space:nowrap}"
        "th{color:var(--soft);font-weight:600;border-bottom-color:var(--line)}"
        "td.long{white-space:normal;min-width:14em}\n"
        ".num{text-align:right;padding:.35em .3em .35em .8em}\n"
        ".grid{display:grid;gap:.8em;grid-template-columns:repeat(auto-fill,minmax(min(100%,"
        "var(--side)),1fr))}\n"
        ".thumb{margin:0;min-width:0;font-size:.82rem;line-height:1.35}"
        ".thumb img{display:block;width:100%;max-width:calc(1.6*var(--side));height:auto;"
        "border-radius:3px;background:var(--box)}"
        ".thumb small{color:var(--soft)}"
        ".crisp{image-rendering:pixelated}\n"
        "details{margin:1em 0;border:1px solid var(--line);border-radius:6px;padding:.5em .9em}"
        "summary{cursor:pointer;font-weight:600}\n"
        "a{color:var(--accent)}\n";
