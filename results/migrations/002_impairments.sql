-- What an agent can do on its node, as JSON: [{"name", "present", "text"}].
ALTER TABLE nodes ADD COLUMN capabilities TEXT NOT NULL DEFAULT '';

-- Evidence is per segment of a node's programme from here on; before, a segment was a window.
ALTER TABLE evidence ADD COLUMN segment INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN treatment TEXT NOT NULL DEFAULT 'drop'
  CHECK (treatment IN ('drop', 'reject', 'impair'));
ALTER TABLE evidence ADD COLUMN scope TEXT NOT NULL DEFAULT 'all';
ALTER TABLE evidence ADD COLUMN asked TEXT NOT NULL DEFAULT '';
ALTER TABLE evidence ADD COLUMN impaired_packets INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN impaired_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN impaired_segments INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN lost_packets INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN duplicated_packets INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN held_dropped_packets INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN held_passed_packets INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN first_impaired_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN last_impaired_ns INTEGER NOT NULL DEFAULT 0;

-- Share of the probes that the plan lets get lost on the path.
ALTER TABLE paths ADD COLUMN allowed_loss REAL NOT NULL DEFAULT 0;

CREATE TABLE queues (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  node TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('egress', 'ingress')),
  group_id INTEGER NOT NULL,
  asked TEXT NOT NULL,
  lane TEXT NOT NULL,
  rate_bps INTEGER NOT NULL,
  limit_packets INTEGER NOT NULL,
  burst_bytes INTEGER NOT NULL,
  quantum_bytes INTEGER NOT NULL,
  drain_ns INTEGER NOT NULL,
  sent_packets INTEGER NOT NULL,
  sent_bytes INTEGER NOT NULL,
  dropped_packets INTEGER NOT NULL,
  backlog_packets INTEGER NOT NULL,
  discarded_packets INTEGER NOT NULL
) STRICT;
CREATE INDEX queues_by_run ON queues (run);

-- What was asked of a path and what its probes say.
CREATE TABLE measurements (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  from_node TEXT NOT NULL,
  to_node TEXT NOT NULL,
  address TEXT NOT NULL,
  quantity TEXT NOT NULL CHECK (quantity IN ('delay_ms', 'jitter_ms', 'loss', 'duplicate',
                                             'reorder', 'rate_mbps')),
  asked REAL NOT NULL,
  measured REAL,
  low REAL NOT NULL,
  high REAL NOT NULL,
  samples INTEGER NOT NULL,
  within TEXT NOT NULL CHECK (within IN ('yes', 'no', 'unknown'))
) STRICT;
CREATE INDEX measurements_by_run ON measurements (run);

-- Steps that act on processes or run a command. `began_mono_ns` is set before the step is taken and
-- `done_mono_ns` after it, so that an undo that is due can be told after a crash.
CREATE TABLE process_steps (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  node TEXT NOT NULL,
  step TEXT NOT NULL,
  target TEXT NOT NULL,
  planned_mono_ns INTEGER NOT NULL,
  began_mono_ns INTEGER,
  done_mono_ns INTEGER,
  by_agent INTEGER NOT NULL CHECK (by_agent IN (0, 1)),
  processes INTEGER NOT NULL,
  error TEXT NOT NULL,
  output TEXT NOT NULL,
  undo TEXT NOT NULL,
  PRIMARY KEY (run, node, step, target, planned_mono_ns)
) STRICT;
