/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reading a packet: addresses always, the transport header when somebody asks for it. */
#pragma once

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSION_HEADERS 6
#define PULLED_BYTES 256U
#define ND_FIRST 133 /* router solicitation */
#define ND_LAST 137  /* redirect */

struct packet {
  struct zq_address source;
  struct zq_address destination;
  __u32 start;    // BPF_HDR_START_*, what the offsets count from
  __u32 header;   // offset of the IP header
  __u32 payload;  // offset of what follows it
  __u8 protocol;
  bool v4;
  bool later_fragment;
  // By read_transport().
  bool transport_read;
  bool truncated;  // the transport header cannot be found
  bool neighbour_discovery;
  bool has_ports;
  __u16 port[2];  // source, destination; as the wire has them
};

static __always_inline bool read_bytes(struct __sk_buff* skb, __u32 start, __u32 offset, void* to,
                                       const __u32 size) {
  if (bpf_skb_load_bytes_relative(skb, offset, to, size, start) == 0) return true;
  // Headers are in the linear part as a rule; some drivers leave them in page fragments.
  if (bpf_skb_pull_data(skb, skb->len < PULLED_BYTES ? skb->len : PULLED_BYTES) != 0) return false;
  return bpf_skb_load_bytes_relative(skb, offset, to, size, start) == 0;
}

static __always_inline bool is_vlan(__u16 protocol) {
  return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

static __always_inline void map_v4(struct zq_address* to, __u32 address) {
  to->word[0] = 0;
  to->word[1] = 0;
  to->word[2] = bpf_htonl(0xffff);
  to->word[3] = address;
}

static __always_inline bool parse_v4(struct __sk_buff* skb, struct packet* packet, __u32 offset) {
  struct iphdr header;
  if (!read_bytes(skb, packet->start, offset, &header, sizeof header)) return false;
  if (header.version != 4) return false;
  map_v4(&packet->source, header.saddr);
  map_v4(&packet->destination, header.daddr);
  packet->v4 = true;
  packet->header = offset;
  packet->protocol = header.protocol;
  packet->payload = offset + header.ihl * 4U;
  packet->later_fragment = (header.frag_off & bpf_htons(0x1fff)) != 0;
  return true;
}

static __always_inline bool parse_v6(struct __sk_buff* skb, struct packet* packet, __u32 offset) {
  struct ipv6hdr header;
  if (!read_bytes(skb, packet->start, offset, &header, sizeof header)) return false;
  if (header.version != 6) return false;
  __builtin_memcpy(&packet->source, &header.saddr, sizeof packet->source);
  __builtin_memcpy(&packet->destination, &header.daddr, sizeof packet->destination);
  packet->v4 = false;
  packet->header = offset;
  packet->protocol = header.nexthdr;
  packet->payload = offset + sizeof header;
  packet->later_fragment = false;
  return true;
}

static __always_inline bool parse(struct __sk_buff* skb, struct packet* packet) {
  __u16 protocol = (__u16)skb->protocol;
  __u32 offset = 0;
  packet->start = BPF_HDR_START_NET;
  if (is_vlan(protocol)) {
    // A tag in the payload: where the network header then points differs between the ways a packet
    // came, but only Ethernet carries such tags, and its header is where it always is.
    packet->start = BPF_HDR_START_MAC;
    offset = ETH_HLEN;
    for (int i = 0; i < MAX_VLAN_TAGS && is_vlan(protocol); ++i) {
      if (!read_bytes(skb, packet->start, offset + 2, &protocol, sizeof protocol)) return false;
      offset += 4;
    }
  }
  if (protocol == bpf_htons(ETH_P_IP)) return parse_v4(skb, packet, offset);
  if (protocol == bpf_htons(ETH_P_IPV6)) return parse_v6(skb, packet, offset);
  return false;
}

// Walks IPv6 extension headers up to the transport header.
static __always_inline bool skip_extensions(struct __sk_buff* skb, struct packet* packet) {
  for (int i = 0; i < MAX_EXTENSION_HEADERS; ++i) {
    const __u8 kind = packet->protocol;
    if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS &&
        kind != IPPROTO_FRAGMENT && kind != IPPROTO_AH)
      return true;
    __u8 header[4];
    if (!read_bytes(skb, packet->start, packet->payload, header, sizeof header)) return false;
    packet->protocol = header[0];
    if (kind == IPPROTO_FRAGMENT) {
      packet->payload += 8;
      packet->later_fragment = ((header[2] << 8 | header[3]) & 0xfff8) != 0;
      if (packet->later_fragment) return true;
    } else if (kind == IPPROTO_AH) {
      packet->payload += (header[1] + 2U) * 4;
    } else {
      packet->payload += (header[1] + 1U) * 8;
    }
  }
  return false;
}

// Later fragments carry no ports. Like the gate's other global functions, this one is looked at by
// the verifier once and not at every call, and for each state there; it asks for the null check.
__attribute__((noinline)) int read_transport(struct __sk_buff* skb, struct packet* packet) {
  if (!packet || packet->transport_read) return 0;
  packet->transport_read = true;
  if (!packet->v4 && !skip_extensions(skb, packet)) {
    packet->truncated = true;
    return 0;
  }
  if (packet->later_fragment) return 0;
  const __u8 kind = packet->protocol;
  if (!packet->v4 && kind == IPPROTO_ICMPV6) {
    __u8 type = 0;
    packet->neighbour_discovery =
        read_bytes(skb, packet->start, packet->payload, &type, sizeof type) && type >= ND_FIRST &&
        type <= ND_LAST;
  } else if (kind == IPPROTO_TCP || kind == IPPROTO_UDP || kind == IPPROTO_SCTP ||
             kind == IPPROTO_UDPLITE || kind == IPPROTO_DCCP) {
    packet->has_ports =
        read_bytes(skb, packet->start, packet->payload, packet->port, sizeof packet->port);
  }
  return 0;
}
