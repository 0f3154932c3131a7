//! A collector of traces inside of the test: takes spans over OTLP, as gRPC, and keeps them.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
};

/// A span as it was sent; numbers in hexadecimal.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Such as `nightshift-worker`.
    pub service: String,
    pub name: String,
    pub trace: String,
    pub number: String,
    /// Empty for the first of a trace.
    pub parent: String,
    attributes: Vec<KeyValue>,
}

impl Seen {
    /// An attribute's text, empty when there is none.
    pub fn attribute(&self, key: &str) -> String {
        text(&self.attributes, key)
    }
}

/// A running collector.
pub struct Collector {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let service = TraceServiceServer::new(Keeps(Arc::clone(&seen)));
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let app = axum::Router::new().route_service(path, service);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, seen }
    }

    /// For `telemetry.otlp_endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

struct Keeps(Arc<Mutex<Vec<Seen>>>);

#[tonic::async_trait]
impl TraceService for Keeps {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for of_process in request.into_inner().resource_spans {
            let resource = of_process.resource.unwrap_or_default().attributes;
            let service = text(&resource, "service.name");
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| Seen {
                service: service.clone(),
                name: span.name,
                trace: hexadecimal(&span.trace_id),
                number: hexadecimal(&span.span_id),
                parent: hexadecimal(&span.parent_span_id),
                attributes: span.attributes,
            }));
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    let value = found.and_then(|attribute| attribute.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
