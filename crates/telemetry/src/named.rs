//! Spans that are named by a text: the parent by a field `traceparent`, the span itself by a field `own_traceparent`.
//!
//! Two layers do it, one on each side of the OpenTelemetry layer: the first makes the named parent the current context
//! while the span is made, and its own numbers the next ones while it starts; the second takes both back. A span starts
//! when it is entered first, so one with numbers of its own must be entered as soon as it is made.
//!
//! By its own numbers a message can name its sender's span to another process, and a row the span that began its trace,
//! without the sender's knowing who records spans, or whether anybody does.

use std::cell::{Cell, RefCell};

use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};
use opentelemetry::{Context as OtelContext, ContextGuard};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::trace::parse;

thread_local! {
    static ATTACHED: RefCell<Option<ContextGuard>> = const { RefCell::new(None) };
    /// The numbers of the span that is about to start.
    static OWN: Cell<Option<Own>> = const { Cell::new(None) };
}

/// Stands before the OpenTelemetry layer.
pub(crate) struct Attach;
/// Stands behind it.
pub(crate) struct Detach;

/// The numbers that a span was given by whoever made it.
#[derive(Clone, Copy)]
struct Own {
    trace: TraceId,
    span: SpanId,
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Attach {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(parent) = named(attributes, "traceparent") {
            ATTACHED.set(Some(parent.attach()));
        }
        if let (Some(own), Some(span)) = (named(attributes, "own_traceparent"), context.span(id)) {
            let own = own.span().span_context().clone();
            let (trace, number) = (own.trace_id(), own.span_id());
            span.extensions_mut().insert(Own { trace, span: number });
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let own = context
            .span(id)
            .and_then(|span| span.extensions().get::<Own>().copied());
        OWN.set(own);
    }
}

impl<S: Subscriber> Layer<S> for Detach {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        // dropped outside of the cell: the guard's drop takes the thread's context back
        drop(ATTACHED.take());
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        OWN.set(None);
    }
}

/// Numbers for new spans: their own, if they were given some.
#[derive(Default, Debug)]
pub(crate) struct Numbers(RandomIdGenerator);

impl IdGenerator for Numbers {
    fn new_trace_id(&self) -> TraceId {
        OWN.get().map_or_else(|| self.0.new_trace_id(), |own| own.trace)
    }

    fn new_span_id(&self) -> SpanId {
        OWN.get().map_or_else(|| self.0.new_span_id(), |own| own.span)
    }
}

/// The span that a field of this name names.
fn named(attributes: &Attributes<'_>, field: &'static str) -> Option<OtelContext> {
    attributes.metadata().fields().field(field)?;
    let mut found = Text { field, text: None };
    attributes.record(&mut found);
    found.text.as_deref().and_then(parse)
}

struct Text {
    field: &'static str,
    text: Option<String>,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            self.text = Some(value.to_owned());
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == self.field {
            self.text = Some(format!("{value:?}"));
        }
    }
}
