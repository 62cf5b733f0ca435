// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"maps"
	"slices"
)

// keys returns the names in a table, sorted.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// didYouMean returns a question that names the known word nearest to the
// unknown one, or nothing if none is near: at most one edit in three letters.
func didYouMean(word string, known []string) string {
	best, nearest := "", len(word)/3+1
	if len(word) < 3 || len(word) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(word, k); d < nearest {
			best, nearest = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// distance is the number of letters to insert, remove, replace, or swap with
// their neighbour that makes a of b.
func distance(a, b string) int {
	before := make([]int, len(b)+1) // two rows up
	above := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

// Suggest is the question that names what an unknown word probably is, or nothing.
func Suggest(word string, known []string) string { return didYouMean(word, known) }
