-- SQLite keeps the action log in one table. PostgreSQL has a partitioned table: see postgres/0007_months.sql.
SELECT 1;
