//! What every bus must do. An implementation's test hands in how to make one and runs [`check`].

use std::future::Future;

use super::{Bell, Bus, Topic};
use crate::id::ChatId;

/// Runs the whole suite; panics where the bus does not keep its promises.
pub async fn check<B: Bus, F: Future<Output = B>>(make: impl Fn() -> F) {
    rings_for_its_topic_alone(&make().await).await;
    says_the_newest_position(&make().await).await;
    keeps_still_about_what_is_known(&make().await).await;
    rings_for_every_listener(&make().await).await;
    outlives_its_listeners(&make().await).await;
}

async fn listen(bus: &impl Bus, topic: &Topic, from: u64) -> Bell {
    bus.subscribe(topic.clone(), from).await.expect("a listener is let in")
}

async fn rings_for_its_topic_alone(bus: &impl Bus) {
    let (chat, other) = (Topic::Chat(ChatId::new()), Topic::Collection("orders".into()));
    let mut bell = listen(bus, &chat, 0).await;
    bus.publish(&other, 9);
    bus.publish(&chat, 1);
    assert_eq!(bell.next().await, Some(1));
}

async fn says_the_newest_position(bus: &impl Bus) {
    let topic = Topic::Chat(ChatId::new());
    let mut bell = listen(bus, &topic, 0).await;
    for position in [1, 2, 7, 3] {
        bus.publish(&topic, position);
    }
    let mut heard = 0;
    while heard < 7 {
        let next = bell.next().await.expect("the bus is there");
        assert!(next > heard, "{next} came after {heard}");
        heard = next;
    }
    assert_eq!(heard, 7);
}

async fn keeps_still_about_what_is_known(bus: &impl Bus) {
    let topic = Topic::Collection("orders".into());
    let mut bell = listen(bus, &topic, 5).await;
    bus.publish(&topic, 4);
    bus.publish(&topic, 5);
    bus.publish(&topic, 6);
    assert_eq!(bell.next().await, Some(6));
}

async fn rings_for_every_listener(bus: &impl Bus) {
    let topic = Topic::Chat(ChatId::new());
    let (mut first, mut second) = (listen(bus, &topic, 0).await, listen(bus, &topic, 0).await);
    bus.publish(&topic, 1);
    assert_eq!((first.next().await, second.next().await), (Some(1), Some(1)));
}

async fn outlives_its_listeners(bus: &impl Bus) {
    let topic = Topic::Chat(ChatId::new());
    drop(listen(bus, &topic, 0).await);
    bus.publish(&topic, 1);
    let mut bell = listen(bus, &topic, 1).await;
    bus.publish(&topic, 2);
    assert_eq!(bell.next().await, Some(2));
}
