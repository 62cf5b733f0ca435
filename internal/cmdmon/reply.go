// SPDX-License-Identifier: Apache-2.0

package cmdmon

// ReplyType is the number of a reply.
type ReplyType uint16

// Replies.
const (
	ReplyNull            ReplyType = 1
	ReplyNSources        ReplyType = 2
	ReplySourceData      ReplyType = 3
	ReplyTracking        ReplyType = 5
	ReplySourceStats     ReplyType = 6
	ReplyRTC             ReplyType = 7
	ReplyActivity        ReplyType = 12
	ReplySmoothing       ReplyType = 13
	ReplyNTPData1        ReplyType = 16 // chronyd up to 4.5
	ReplyManualTimestamp ReplyType = 17
	ReplyManualList      ReplyType = 18
	ReplySourceName      ReplyType = 19
	ReplyAuthData        ReplyType = 20
	ReplyClients         ReplyType = 21
	ReplySelectData      ReplyType = 23
	ReplyServerStats3    ReplyType = 24 // chronyd up to 4.3
	ReplyServerStats     ReplyType = 25
	ReplyNTPData         ReplyType = 26
)

// replyLens are the lengths of replies, header included.
var replyLens = map[ReplyType]int{
	ReplyNull: ReplyHeaderLen, ReplyNSources: 32, ReplySourceData: 76, ReplyTracking: 104, ReplySourceStats: 84,
	ReplyRTC: 56, ReplyActivity: 48, ReplySmoothing: 52, ReplyNTPData1: 152, ReplyManualTimestamp: 40,
	ReplyManualList: 416, ReplySourceName: 284, ReplyAuthData: 52, ReplyClients: MaxReply, ReplySelectData: 76,
	ReplyServerStats3: 72, ReplyServerStats: 196, ReplyNTPData: 172,
}

// ReplyLen is the length of a reply of type t, header included, and that of a
// header for what is no reply.
func ReplyLen(t ReplyType) int {
	if n, ok := replyLens[t]; ok {
		return n
	}
	return ReplyHeaderLen
}

// Status is how a command went.
type Status uint16

// Statuses.
const (
	Success          Status = 0
	Failed           Status = 1
	Unauthorised     Status = 2
	Invalid          Status = 3 // no such command
	NoSuchSource     Status = 4
	InvalidTime      Status = 5 // duplicate or stale timestamp; no longer sent
	NotEnabled       Status = 6
	BadSubnet        Status = 7
	AccessAllowed    Status = 8
	AccessDenied     Status = 9
	NoHostAccess     Status = 10 // no longer sent
	SourceKnown      Status = 11
	TooManySources   Status = 12
	NoRTC            Status = 13
	BadRTCFile       Status = 14
	Inactive         Status = 15 // the log of clients is off
	BadSample        Status = 16
	InvalidFamily    Status = 17
	BadPacketVersion Status = 18
	BadPacketLength  Status = 19
	InvalidName      Status = 21
)

// statusTexts are short words for statuses, for logs and metrics; chronyc's are
// longer and foliotctl's.
var statusTexts = map[Status]string{
	Success: "success", Failed: "failed", Unauthorised: "unauthorised", Invalid: "invalid", NoSuchSource: "no such source",
	InvalidTime: "invalid time", NotEnabled: "not enabled", BadSubnet: "bad subnet", AccessAllowed: "access allowed",
	AccessDenied: "access denied", NoHostAccess: "no host access", SourceKnown: "source known",
	TooManySources: "too many sources", NoRTC: "no rtc", BadRTCFile: "bad rtc file", Inactive: "inactive",
	BadSample: "bad sample", InvalidFamily: "invalid family", BadPacketVersion: "bad packet version",
	BadPacketLength: "bad packet length", InvalidName: "invalid name",
}

func (s Status) String() string {
	if text, ok := statusTexts[s]; ok {
		return text
	}
	return "unknown"
}
