//! What a client asks before it works: who is in the cluster, and what the server can do.

use std::net::SocketAddr;

use tonic::{Request, Response, Status};

use crate::node::Service;
use crate::wire::event_store::client::Empty;
use crate::wire::event_store::client::gossip::gossip_server::Gossip;
use crate::wire::event_store::client::gossip::member_info::VNodeState;
use crate::wire::event_store::client::gossip::{ClusterInfo, EndPoint, MemberInfo};
use crate::wire::event_store::client::server_features::SupportedMethods;
use crate::wire::event_store::client::server_features::server_features_server::ServerFeatures;

#[tonic::async_trait]
impl Gossip for Service {
    async fn read(&self, _: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let members = self.cluster.members();
        let told = |address: &SocketAddr| MemberInfo {
            state: if *address == members.leader {
                VNodeState::Leader.into()
            } else {
                VNodeState::Follower.into()
            },
            is_alive: true,
            http_end_point: Some(EndPoint {
                address: address.ip().to_string(),
                port: address.port().into(),
            }),
            ..MemberInfo::default()
        };
        Ok(Response::new(ClusterInfo {
            members: members.all.iter().map(told).collect(),
        }))
    }
}

#[tonic::async_trait]
impl ServerFeatures for Service {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        Ok(Response::new(SupportedMethods {
            methods: Vec::new(),
            event_store_server_version: "25.1.0".to_owned(),
        }))
    }
}
