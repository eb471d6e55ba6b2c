import type { HttpServer } from '../http/index.ts'
import { actorOf } from '../identity/index.ts'
import { readQuery } from '../log/index.ts'
import type { EvidenceBundles } from './evidence.ts'
import * as schemas from './schemas.ts'
import type { Reports } from './service.ts'

export function mountReports(app: HttpServer, reports: Reports, evidence: EvidenceBundles): void {
  app.get(
    '/v1/operations/:operation/figures',
    {
      config: { access: 'report.view', record: ['report.viewed'] },
      schema: {
        summary: 'Seizures and quantities, from extracts',
        params: schemas.InOperation,
        querystring: schemas.Justified,
        response: { 200: schemas.Figures },
      },
    },
    async (request) => {
      const figures = await reports.figures(actorOf(request), request.params.operation, request.query.justification)
      return { ...figures, quantities: [...figures.quantities], totals: [...figures.totals] }
    },
  )

  app.post(
    '/v1/logs/:log/evidence',
    {
      config: { access: 'log-reader', record: ['export.made'] },
      schema: {
        summary: 'A bundle of evidence: entries with all that proves them, to be checked without the service',
        params: schemas.OfLog,
        body: schemas.EvidenceRequest,
      },
    },
    async (request, reply) => {
      const { query, ...rest } = request.body
      const input = { ...rest, query: readQuery({ ...query, limit: 1 }) }
      const bundle = await evidence.make(actorOf(request), request.params.log, input)
      return reply.type('application/json; charset=utf-8').header('cache-control', 'no-store').send(bundle)
    },
  )
}
