"""Fills PocketBase's collection `bench` through its database file, while it is not running."""

import sqlite3
import sys

path, count, groups = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = ((f"r{number:014d}", f"record {number}", number % groups, "x" * 100) for number in range(count))
database = sqlite3.connect(path)
database.executemany("INSERT INTO bench (`id`, `name`, `group`, `text`) VALUES (?, ?, ?, ?)", rows)
database.commit()
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
database.close()
