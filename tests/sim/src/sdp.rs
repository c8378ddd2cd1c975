//! Session descriptions of the simulated WebRTC: well-formed text (RFC 8866, RFC 8841) whose ICE user fragment says
//! which end of which connection wrote it.

use swarmreel::ids::LinkId;

use crate::queue::NodeId;

/// One end of a connection, or of an attempt at one.
pub type End = (NodeId, LinkId);

/// What a browser would write for this end.
pub fn write(end: End, setup: &str, message_max: usize) -> String {
    let (NodeId(node), LinkId(link)) = end;
    let fingerprint = vec![format!("{:02X}", node & 0xFF); 32].join(":");
    format!(
        "v=0\r\n\
         o=- {session} 2 IN IP4 127.0.0.1\r\n\
         s=-\r\n\
         t=0 0\r\n\
         a=group:BUNDLE 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
         c=IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2113937151 10.0.{high}.{low} 50000 typ host\r\n\
         a=ice-ufrag:{node:04x}{link:08x}\r\n\
         a=ice-pwd:simulatedsimulatedsimul\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\n\
         a=setup:{setup}\r\n\
         a=mid:0\r\n\
         a=sctp-port:5000\r\n\
         a=max-message-size:{message_max}\r\n",
        session = u64::from(node) << 32 | u64::from(link),
        high = node >> 8,
        low = node & 0xFF,
    )
}

/// Which end wrote this, if a browser would take it at all.
pub fn author(sdp: &str) -> Option<End> {
    let mut lines = sdp.lines();
    let is_data_only = lines.next()? == "v=0" && sdp.lines().filter(|line| line.starts_with("m=")).count() == 1;
    let sections = ["m=application ", "a=fingerprint:sha-256 ", "a=ice-pwd:"];
    if !is_data_only || sections.iter().any(|start| !sdp.lines().any(|line| line.starts_with(start))) {
        return None;
    }
    let fragment = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"))?;
    let node = u16::from_str_radix(fragment.get(..4)?, 16).ok()?;
    let link = u32::from_str_radix(fragment.get(4..)?, 16).ok()?;
    Some((NodeId(node), LinkId(link)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_survives_the_trip() {
        let end = (NodeId(513), LinkId(70_000));
        assert_eq!(author(&write(end, "actpass", 262_144)), Some(end));
    }

    #[test]
    fn other_text_has_no_author() {
        let sdp = write((NodeId(1), LinkId(2)), "active", 65_536);
        assert_eq!(author(""), None);
        assert_eq!(author(&sdp.replace("v=0", "v=1")), None);
        assert_eq!(author(&sdp.replace("a=fingerprint:sha-256", "a=fingerprint:md5")), None);
        assert_eq!(author(&format!("{sdp}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")), None);
    }
}
