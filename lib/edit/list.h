/* SPDX-License-Identifier: 0BSD */
/* The edits, in the order of the manual: EDIT(name), whose struct is rs_edit_NAME in
 * lib/edit/NAME.c. */
EDIT(strip)
EDIT(head)
EDIT(truncate)
EDIT(reset)
EDIT(freeze)
EDIT(fold)
EDIT(edit)
EDIT(cast)
EDIT(new)
EDIT(pack)
