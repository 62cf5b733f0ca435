// SPDX-License-Identifier: Apache-2.0

package chronyconf

// Verdict returns what becomes of a directive, for people: "supported", "without
// effect" or "not yet", and why.
func Verdict(name string) (verdict, why string) {
	meaning, waits := notYet[name]
	switch {
	case obsolete[name]:
		return "without effect", "obsolete, chronyd ignores it too"
	case waits:
		return "not yet", meaning
	case name == "dumponexit":
		return "without effect", "histories are saved whenever there is a dumpdir"
	}
	return "supported", ""
}
