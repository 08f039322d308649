-- All *_mono_ns are nanoseconds of the controller's CLOCK_MONOTONIC during the run.
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  title TEXT NOT NULL,
  caveat TEXT NOT NULL,
  experiment_path TEXT NOT NULL,
  experiment_text TEXT NOT NULL,
  cluster_name TEXT NOT NULL,
  cluster_path TEXT NOT NULL,
  cluster_text TEXT NOT NULL,
  plan_json TEXT NOT NULL,
  started_wall_ns INTEGER NOT NULL,
  started_mono_ns INTEGER NOT NULL,
  ended_wall_ns INTEGER,
  fault_mono_ns INTEGER,
  uncertainty_ns INTEGER NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('running', 'passed', 'failed', 'inconclusive', 'invalid',
                                           'aborted', 'interrupted')),
  reason TEXT NOT NULL DEFAULT '',
  controller_pid INTEGER NOT NULL,
  controller_start_ticks INTEGER NOT NULL,
  boot_id TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_caveat ON runs (caveat, id);
CREATE INDEX runs_running ON runs (id) WHERE verdict = 'running';

CREATE TABLE run_labels (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_labels_by_value ON run_labels (name, value, run);

CREATE TABLE run_variables (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_versions (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE nodes (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  zone TEXT NOT NULL,
  region TEXT NOT NULL,
  roles TEXT NOT NULL,
  addresses TEXT NOT NULL,
  group_id INTEGER NOT NULL,
  kernel TEXT NOT NULL,
  agent_version TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  clock_offset_ns INTEGER NOT NULL,
  clock_uncertainty_ns INTEGER NOT NULL,
  dump_before TEXT NOT NULL,
  dump_after TEXT NOT NULL,
  PRIMARY KEY (run, name)
) STRICT;

-- Planned times are relative to the fault's instant.
CREATE TABLE phases (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  planned_from_ns INTEGER NOT NULL,
  planned_until_ns INTEGER NOT NULL,
  from_mono_ns INTEGER,
  until_mono_ns INTEGER,
  PRIMARY KEY (run, name)
) STRICT;

CREATE TABLE evidence (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  node TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('egress', 'ingress')),
  group_id INTEGER NOT NULL,
  from_mono_ns INTEGER NOT NULL,
  until_mono_ns INTEGER NOT NULL,
  dropped_packets INTEGER NOT NULL,
  dropped_bytes INTEGER NOT NULL,
  passed_packets INTEGER NOT NULL,
  exempt_packets INTEGER NOT NULL,
  last_passed_ns INTEGER NOT NULL,
  first_dropped_ns INTEGER NOT NULL,
  last_dropped_ns INTEGER NOT NULL,
  first_passed_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX evidence_by_run ON evidence (run);

CREATE TABLE paths (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  from_node TEXT NOT NULL,
  to_node TEXT NOT NULL,
  address TEXT NOT NULL,
  expected_cut INTEGER NOT NULL CHECK (expected_cut IN (0, 1)),
  sent INTEGER NOT NULL,
  received INTEGER NOT NULL,
  sent_in_window INTEGER NOT NULL,
  received_in_window INTEGER NOT NULL,
  rtt_p50_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX paths_by_run ON paths (run);

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  at_mono_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  node TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run, at_mono_ns);

CREATE TABLE verdicts (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  expectation TEXT NOT NULL,
  page TEXT NOT NULL,
  predicted TEXT NOT NULL,
  verdict TEXT NOT NULL,
  unit TEXT NOT NULL,
  evidence TEXT NOT NULL,
  measured REAL,
  bound REAL,
  margin REAL,
  at_mono_ns INTEGER,
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

-- `labels` is a JSON object with sorted keys.
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  signal TEXT NOT NULL,
  labels TEXT NOT NULL,
  stale_after_ns INTEGER NOT NULL,
  UNIQUE (run, signal, labels)
) STRICT;

-- A series as its changes. No value = the observer could not tell.
CREATE TABLE segments (
  series INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
  from_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL CHECK (last_ns >= from_ns),
  value REAL,
  PRIMARY KEY (series, from_ns)
) STRICT, WITHOUT ROWID;
