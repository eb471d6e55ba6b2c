-- How many rows each table has per operation, those of operations that do not exist included: a row that nobody would look
-- at is found by the verifier, whichever role it runs as.
CREATE FUNCTION all_operation_rows() RETURNS TABLE (owned text, operation_id uuid, counted bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$
    SELECT 'operation', id, count(*) FROM public.operation GROUP BY id
    UNION ALL SELECT 'operation_organization', operation_id, count(*) FROM public.operation_organization GROUP BY operation_id
    UNION ALL SELECT 'member', operation_id, count(*) FROM public.member GROUP BY operation_id
    UNION ALL SELECT 'compartment', operation_id, count(*) FROM public.compartment GROUP BY operation_id
    UNION ALL SELECT 'compartment_member', operation_id, count(*) FROM public.compartment_member GROUP BY operation_id
    UNION ALL SELECT 'member_statement', operation_id, count(*) FROM public.member_statement GROUP BY operation_id
    UNION ALL SELECT 'epoch', operation_id, count(*) FROM public.epoch GROUP BY operation_id
    UNION ALL SELECT 'epoch_grant', operation_id, count(*) FROM public.epoch_grant GROUP BY operation_id
    UNION ALL SELECT 'thread', operation_id, count(*) FROM public.thread GROUP BY operation_id
    UNION ALL SELECT 'message', operation_id, count(*) FROM public.message GROUP BY operation_id
    UNION ALL SELECT 'body', operation_id, count(*) FROM public.body GROUP BY operation_id
    UNION ALL SELECT 'extract', operation_id, count(*) FROM public.extract GROUP BY operation_id
  $$;
GRANT EXECUTE ON FUNCTION all_operation_rows() TO cordon_app, cordon_auditor;

-- Published checkpoints form a chain, so that one taken out of the middle is missed; the newest lies beside the log's key too.
ALTER TABLE log_checkpoint ADD COLUMN previous_size bigint;
