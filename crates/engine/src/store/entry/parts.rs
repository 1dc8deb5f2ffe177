//! The parts of entries: errors, sources, usage and answers as they are kept.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Detail, Error};
use crate::event::{
    Answer, Answerer, CanvasAction, CanvasTrigger, CanvasView, CatalogMetrics, Source, Usage,
};
use crate::id::{RecordId, Timestamp};

/// An error without its cause: causes are for the log alone.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptError {
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "KeptDetail::is_none")]
    detail: KeptDetail,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeptDetail {
    #[default]
    None,
    Field(String),
    RetryAfterMs(u64),
    TimeoutMs(u64),
    Tool(String),
}

impl KeptDetail {
    fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl KeptError {
    pub(super) fn of(error: &Error) -> Self {
        let detail = match &error.detail {
            Detail::None => KeptDetail::None,
            Detail::Field(path) => KeptDetail::Field(path.clone()),
            Detail::RetryAfter(after) => KeptDetail::RetryAfterMs(millis(*after)),
            Detail::Timeout(limit) => KeptDetail::TimeoutMs(millis(*limit)),
            Detail::Tool(name) => KeptDetail::Tool(name.clone()),
        };
        Self { code: error.code.name().into(), message: error.message.to_string(), detail }
    }

    pub(super) fn into_error(self) -> Error {
        let detail = match self.detail {
            KeptDetail::None => Detail::None,
            KeptDetail::Field(path) => Detail::Field(path),
            KeptDetail::RetryAfterMs(after) => Detail::RetryAfter(Duration::from_millis(after)),
            KeptDetail::TimeoutMs(limit) => Detail::Timeout(Duration::from_millis(limit)),
            KeptDetail::Tool(name) => Detail::Tool(name),
        };
        // A code that a newer server has and this one has not is our own fault's neighbour, not the client's.
        Error::new(Code::from_name(&self.code).unwrap_or(Code::Internal), self.message).with(detail)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptSource {
    id: String,
    title: String,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default)]
    score: Option<f64>,
    /// Collection and record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    passage: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    highlights: Vec<(usize, usize)>,
}

impl KeptSource {
    pub(super) fn of(source: &Source) -> Self {
        let Source { id, title, source, url, score, record, section, passage, highlights } = source.clone();
        let record = record.map(|(collection, id)| (collection, id.to_string()));
        let highlights = highlights.into_iter().map(|range| (range.start, range.end)).collect();
        Self { id, title, source, url, score: Some(score), record, section, passage, highlights }
    }

    pub(super) fn into_source(self) -> Source {
        let Self { id, title, source, url, score, record, section, passage, highlights } = self;
        let record = record.map(|(collection, id)| (collection, RecordId(id)));
        // What a damaged log says must not cut a character in two.
        let fits = |range: &Range<usize>| passage.get(range.clone()).is_some();
        let highlights = highlights.into_iter().map(|(start, end)| start..end).filter(fits).collect();
        Source {
            id,
            title,
            source,
            url,
            score: score.unwrap_or_default(),
            record,
            section,
            passage,
            highlights,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptUsage {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
}

impl KeptUsage {
    pub(super) fn of(usage: Usage) -> Self {
        let Usage { input_tokens, output_tokens, context_window } = usage;
        Self { input_tokens, output_tokens, context_window }
    }

    pub(super) fn into_usage(self) -> Usage {
        let Self { input_tokens, output_tokens, context_window } = self;
        Usage { input_tokens, output_tokens, context_window }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptAnswer {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diagram: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canvas: Option<KeptCanvas>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<KeptMetrics>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<KeptAnswerer>,
}

#[derive(Serialize, Deserialize)]
struct KeptAnswerer {
    agent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

impl KeptAnswerer {
    fn of(Answerer { agent, model }: &Answerer) -> Self {
        Self { agent: agent.clone(), model: model.clone() }
    }

    fn into_answerer(self) -> Answerer {
        let Self { agent, model } = self;
        Answerer { agent, model }
    }
}

impl KeptAnswer {
    pub(super) fn of(answer: &Answer) -> Self {
        Self {
            text: answer.text.clone(),
            diagram: answer.diagram.clone(),
            canvas: answer.canvas.as_ref().map(KeptCanvas::of),
            metrics: answer.metrics.as_ref().map(KeptMetrics::of),
            reasoning: answer.reasoning.clone(),
            by: answer.by.as_ref().map(KeptAnswerer::of),
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        Answer {
            text: self.text,
            diagram: self.diagram,
            canvas: self.canvas.map(KeptCanvas::into_canvas),
            metrics: self.metrics.map(KeptMetrics::into_metrics),
            reasoning: self.reasoning,
            by: self.by.map(KeptAnswerer::into_answerer),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptCanvas {
    action: KeptAction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    view: Option<KeptView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entity_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    reason: String,
    #[serde(default)]
    confidence: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeptAction {
    SwitchView,
    NewAnalysis,
    #[serde(other)]
    None,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeptView {
    ErDiagram,
    TableList,
    RelationshipGraph,
    #[serde(other)]
    Unknown,
}

impl KeptCanvas {
    pub(super) fn of(canvas: &CanvasTrigger) -> Self {
        let CanvasTrigger { action, view, entity_name, query, reason, confidence } = canvas.clone();
        let action = match action {
            CanvasAction::SwitchView => KeptAction::SwitchView,
            CanvasAction::NewAnalysis => KeptAction::NewAnalysis,
            CanvasAction::None => KeptAction::None,
        };
        let view = view.map(|view| match view {
            CanvasView::ErDiagram => KeptView::ErDiagram,
            CanvasView::TableList => KeptView::TableList,
            CanvasView::RelationshipGraph => KeptView::RelationshipGraph,
        });
        Self { action, view, entity_name, query, reason, confidence: Some(confidence) }
    }

    pub(super) fn into_canvas(self) -> CanvasTrigger {
        let Self { action, view, entity_name, query, reason, confidence } = self;
        let action = match action {
            KeptAction::SwitchView => CanvasAction::SwitchView,
            KeptAction::NewAnalysis => CanvasAction::NewAnalysis,
            KeptAction::None => CanvasAction::None,
        };
        let view = view.and_then(|view| match view {
            KeptView::ErDiagram => Some(CanvasView::ErDiagram),
            KeptView::TableList => Some(CanvasView::TableList),
            KeptView::RelationshipGraph => Some(CanvasView::RelationshipGraph),
            KeptView::Unknown => None,
        });
        CanvasTrigger { action, view, entity_name, query, reason, confidence: confidence.unwrap_or_default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptMetrics {
    total_tables: u64,
    total_columns: u64,
    facts_count: u64,
    dimensions_count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quality_score: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relationships_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_of: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_stale: Option<bool>,
}

impl KeptMetrics {
    pub(super) fn of(metrics: &CatalogMetrics) -> Self {
        let metrics = metrics.clone();
        Self {
            total_tables: metrics.total_tables,
            total_columns: metrics.total_columns,
            facts_count: metrics.facts_count,
            dimensions_count: metrics.dimensions_count,
            quality_score: metrics.quality_score,
            relationships_count: metrics.relationships_count,
            schema_name: metrics.schema_name,
            as_of: metrics.as_of.map(|at| at.0),
            is_stale: metrics.is_stale,
        }
    }

    pub(super) fn into_metrics(self) -> CatalogMetrics {
        CatalogMetrics {
            total_tables: self.total_tables,
            total_columns: self.total_columns,
            facts_count: self.facts_count,
            dimensions_count: self.dimensions_count,
            quality_score: self.quality_score,
            relationships_count: self.relationships_count,
            schema_name: self.schema_name,
            as_of: self.as_of.map(Timestamp),
            is_stale: self.is_stale,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
