"""Where every reported number comes from, and whether anything was touched since.

Every job leaves a record (``recording``, ``records``); the ledger chains the records of a study; the other
modules read both: to show a chain, to verify, to run it again, to compare studies, to export and to
publish them.
"""
