/**
 * Sends the gateway's spans to an OpenTelemetry collector. Loaded before the gateway:
 *
 *     OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 node_modules/.bin/node --import ./scripts/monitoring/otlp.ts src/main.ts
 *
 * OTEL_SERVICE_NAME (courier), OTEL_TRACES_SAMPLER_ARG (share of the traces that are recorded where the publisher did not
 * decide, 0 to 1; 1), and the other variables of the OTLP exporter are heeded.
 */
import { isMainThread } from 'node:worker_threads';
import { trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace';

// Workers inherit what is loaded before, and have no spans.
if (isMainThread) {
  const share = Number(process.env['OTEL_TRACES_SAMPLER_ARG'] ?? 1);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': process.env['OTEL_SERVICE_NAME'] ?? 'courier' }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  trace.setGlobalTracerProvider(provider);
  process.once('beforeExit', () => void provider.shutdown());
}
