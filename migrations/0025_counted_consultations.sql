-- What was delivered and read, and import keys, are counted for the verifier like everything else that an operation has.
CREATE OR REPLACE FUNCTION all_operation_rows() RETURNS TABLE (owned text, operation_id uuid, counted bigint)
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
    UNION ALL SELECT 'delivery', operation_id, count(*) FROM public.delivery GROUP BY operation_id
    UNION ALL SELECT 'message_read', operation_id, count(*) FROM public.message_read GROUP BY operation_id
    UNION ALL SELECT 'import_key', operation_id, count(*) FROM public.import_key GROUP BY operation_id
  $$;
