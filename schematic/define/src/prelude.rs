//! Everything that a file with a definition needs, in one line: `use schematic_define::prelude::*;`.

pub use crate::auth::{AuthStrategy, AuthWay};
pub use crate::check::Problem;
pub use crate::definition::Definition;
pub use crate::message::{
    BodyKind, Correlation, Envelope, EnvelopeId, Example, FrameKind, IdKind, JsonKind, Layout, MessageFacts,
    Recognition, Replies, Reply, TagPart,
};
pub use crate::policy::{
    Breach, CarriedValue, CloseAction, CloseCode, Contexts, EchoedField, EndpointPolicy, FirstAck, Heartbeat,
    InboundFull, InboundQueue, Interval, Limits, OutboundFull, OutboundQueue, Party, Rate, Reconnect,
    Session, Subscription, Timeouts, TokenCapture,
};
pub use crate::rest::{
    ApiRequest, ApiResponse, Endpoint, FormField, FormFieldKind, Pagination, ParamPlace, RestApi, RestMethod,
    RestParam, StatusResponse, StreamFormat,
};
pub use crate::schema::{
    EnumValue, Field, Openness, Record, Schema, Shape, Tuple, TupleItem, Type, TypeDef, Union, Variant,
};
pub use crate::websocket::{
    ConnectionLifecycle, ConnectionParam, MessageDirection, MessageSchema, ParamType, WebSocketApi,
    WebSocketEndpoint,
};
