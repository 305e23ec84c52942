"""What papers share. Knows no paper.

Rooms, from the top floor down, each importing only from below: `cli`, `cost`, `tasks`, `training`, `inference`,
`models`, `experiment`, `worlds`, `corpora`, `metrics`, `text`; below them `files`, `distributed`, `plugins`, `errors`
and `printing`. `docs/guide/rooms.md` says what each owns.
"""
