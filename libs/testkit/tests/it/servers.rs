//! The servers start on free ports, die, come back and freeze as tests ask.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, future::join_all};
use redis::AsyncCommands;
use testkit::{Mongo, Nats, NatsCluster, NatsOptions, Redis, RedisOptions};

/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn many_servers_at_once_get_ports_of_their_own() {
    let servers = join_all((0..8).map(|_| Redis::start())).await;
    let ports: HashSet<_> = servers.iter().map(Redis::port).collect();
    assert_eq!(ports.len(), 8);
    for (index, server) in servers.iter().enumerate() {
        let _: () = server.connection().await.set("index", index).await.unwrap();
    }
    for (index, server) in servers.iter().enumerate() {
        assert_eq!(server.connection().await.get::<_, usize>("index").await.unwrap(), index);
    }
}

#[tokio::test]
async fn nats_comes_back_on_the_same_port_and_dies_when_dropped() {
    let server = Nats::start().await;
    let (url, client) = (server.url(), server.client().await);
    let mut messages = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    server.kill9();
    assert!(async_nats::connect(&url).await.is_err());
    server.restart().await;
    assert_eq!(server.url(), url);
    let other = server.client().await;
    // The first client reconnects in its own time.
    let message = tokio::time::timeout(PATIENCE, async {
        loop {
            other.publish("a", "x".into()).await.unwrap();
            if let Ok(message) = tokio::time::timeout(Duration::from_millis(50), messages.next()).await {
                return message;
            }
        }
    });
    assert_eq!(message.await.unwrap().unwrap().payload, "x");
    drop(server);
    assert!(async_nats::connect(&url).await.is_err());
}

#[tokio::test]
async fn a_frozen_server_answers_after_it_goes_on() {
    let server = Redis::start().await;
    let mut connection = server.connection().await;
    server.pause();
    let mut answer = tokio::spawn(async move { connection.set::<_, _, ()>("a", 1).await });
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut answer).await.is_err());
    server.resume();
    tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap().ok();
    assert!(server.connection().await.ping::<String>().await.is_ok());
}

#[tokio::test]
async fn a_durable_redis_keeps_its_data_over_a_kill_and_others_do_not() {
    for durable in [true, false] {
        let server =
            Redis::start_with(RedisOptions { durable, password: Some("pw".into()), tls: None }).await;
        let _: () = server.connection().await.set("a", 1).await.unwrap();
        server.kill9();
        server.restart().await;
        let kept: Option<i32> = server.connection().await.get("a").await.unwrap();
        assert_eq!(kept, durable.then_some(1));
    }
}

#[tokio::test]
async fn nats_options_are_honoured() {
    let options = NatsOptions {
        max_payload: Some(4096),
        user: Some(("u".into(), "p\"w".into())),
        ..NatsOptions::default()
    };
    let server = Nats::start_with(options).await;
    assert!(async_nats::connect(server.url()).await.is_err(), "a password is needed");
    let info = server.client().await.server_info();
    assert_eq!(info.max_payload, 4096);
}

#[tokio::test]
async fn jetstream_keeps_streams_over_a_restart() {
    let server = Nats::start_with_jetstream().await;
    let config = || async_nats::jetstream::stream::Config {
        name: "S".into(),
        subjects: vec!["s.>".into()],
        ..Default::default()
    };
    let stream = async_nats::jetstream::new(server.client().await);
    stream.create_stream(config()).await.unwrap();
    stream.publish("s.a", "x".into()).await.unwrap().await.unwrap();
    server.restart().await;
    let stream = async_nats::jetstream::new(server.client().await);
    assert_eq!(stream.get_stream("S").await.unwrap().cached_info().state.messages, 1);
}

#[tokio::test]
async fn a_cluster_survives_the_loss_of_one_server() {
    let cluster = NatsCluster::start(3).await;
    assert_eq!(cluster.url().split(',').count(), 3);
    let client = cluster.nodes()[1].client().await;
    let context = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "S".into(),
        subjects: vec!["s".into()],
        num_replicas: 3,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    cluster.nodes()[0].kill9();
    cluster.until_led().await.unwrap();
    let published = async {
        loop {
            if let Ok(ack) = context.publish("s", "x".into()).await
                && ack.await.is_ok()
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, published).await.unwrap();
}

#[tokio::test]
async fn mongo_speaks_to_the_official_driver_and_keeps_data_over_a_restart() {
    let server = Mongo::start().await;
    let collection = async |url: String| {
        let client = mongodb::Client::with_uri_str(url).await.unwrap();
        client.database("t").collection::<mongodb::bson::Document>("c")
    };
    let links = collection(server.url()).await;
    links.insert_one(mongodb::bson::doc! {"serial": "VC1", "n": 1}).await.unwrap();
    links
        .update_one(mongodb::bson::doc! {"serial": "VC1"}, mongodb::bson::doc! {"$inc": {"n": 2}})
        .await
        .unwrap();
    server.restart().await;
    let links = collection(server.url()).await;
    let found = links.find_one(mongodb::bson::doc! {"serial": "VC1"}).await.unwrap().unwrap();
    assert_eq!(found.get_i32("n").unwrap(), 3);
}
