-- A state file of schema version 1, as release 0.1.0 wrote it, with texts that today's rules would clean.
BEGIN TRANSACTION;
CREATE TABLE databases (database TEXT PRIMARY KEY, body TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "databases" VALUES('sales','{"buckets": [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "duration_sum": 20.0, "failed_by_class": {"timeout": 1, "index_wait_timeout": 0, "access_denied": 1, "source_not_found": 0, "source_unreachable": 0, "source_empty": 0, "schema_mismatch": 0, "format_error": 0, "manifest_error": 0, "spec_invalid": 0, "function_error": 0, "worker_error": 0, "conflict": 0, "safety_check": 0, "superseded": 0, "cancelled": 0, "collection_gone": 0, "storage_error": 0, "internal": 0, "unknown": 0}, "shown": true}',2409658054);
CREATE TABLE ended (
      job_id INTEGER PRIMARY KEY, database TEXT NOT NULL, collection TEXT NOT NULL, collection_id INTEGER NOT NULL,
      name TEXT NOT NULL, state TEXT NOT NULL, progress REAL NOT NULL, source TEXT NOT NULL,
      start REAL, stop REAL NOT NULL, failure_class TEXT, reason TEXT NOT NULL, counted INTEGER NOT NULL,
      seal INTEGER NOT NULL,
      known INTEGER NOT NULL
    );
INSERT INTO "ended" VALUES(1,'sales','docs',7,'docs','RefreshCompleted',1.0,'s3://lake/docs',1789909990.0,1789910000.0,NULL,'',0,2873515122,0);
INSERT INTO "ended" VALUES(2,'sales','docs',7,'docs','RefreshFailed',0.5,'s3://lake/docs',1789913590.0,1789913600.0,'timeout','job timeout',1,753298711,0);
INSERT INTO "ended" VALUES(3,'sales','docs',7,'docs','RefreshCompleted',1.0,'s3://lake/docs',1789996390.0,1789996400.0,NULL,'',1,48073763,1);
INSERT INTO "ended" VALUES(4,'sales','docs',7,'docs','RefreshFailed',0.5,'s3://AKIDEXAMPLE:Zebra.Quilt77@lake/docs',1789999930.0,1789999940.0,'access_denied','403 for password=Zebra.Quilt77 on s3://lake/docs',1,1814771854,1);
INSERT INTO "ended" VALUES(5,'sales','images',8,'docs','RefreshCompleted',1.0,'s3://lake/docs',1790010790.0,1790010800.0,NULL,'',1,1222103791,1);
CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "memory" VALUES('baseline_done','1',3712230264);
INSERT INTO "memory" VALUES('covered','[]',931366583);
INSERT INTO "memory" VALUES('file','01dc2e0f599d42ababd3ff9be319f8e2',2809741072);
INSERT INTO "memory" VALUES('half_written','[]',3123038646);
INSERT INTO "memory" VALUES('rows','[2, 1, 3]',2271109100);
INSERT INTO "memory" VALUES('since','1789913600.0',2036680134);
CREATE TABLE outcomes (
      database TEXT NOT NULL, collection TEXT NOT NULL, collection_id INTEGER NOT NULL, body TEXT NOT NULL,
      seal INTEGER NOT NULL,
      PRIMARY KEY (database, collection, collection_id)
    ) WITHOUT ROWID;
INSERT INTO "outcomes" VALUES('sales','docs',7,'{"last_live": [1789996400.0, 3], "last_completed": [1789996400.0, 3], "last_failed": [1789999940.0, 4], "last_duration": 10.0, "measured": [1789996400.0, 3], "trouble": [4, "sales", "docs", 7, "docs", "RefreshFailed", 0.5, "s3://AKIDEXAMPLE:Zebra.Quilt77@lake/docs", 1789999930.0, 1789999940.0, "access_denied", "403 for password=Zebra.Quilt77 on s3://lake/docs", 1], "recent": [[1789999940.0, 4]], "older": 0, "finished": 3, "failed": 2, "last_failed_counted": [4, 1789999940.0], "shown": true, "seen": 1790003600.0}',672699562);
INSERT INTO "outcomes" VALUES('sales','images',8,'{"last_live": [1790010800.0, 5], "last_completed": [1790010800.0, 5], "last_failed": null, "last_duration": 10.0, "measured": [1790010800.0, 5], "trouble": null, "recent": [], "older": 0, "finished": 1, "failed": 0, "last_failed_counted": null, "shown": true, "seen": 1790010800.0}',2349312758);
CREATE INDEX ended_by_collection ON ended (database, collection, stop);
CREATE INDEX ended_by_stop ON ended (stop) WHERE known = 0
    ;
COMMIT;
PRAGMA application_id = 1297237336;
PRAGMA user_version = 1;
