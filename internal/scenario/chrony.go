// SPDX-License-Identifier: Apache-2.0

package scenario

import "math"

// Figures are what chrony 4.8+ (git 8f2db83) reached in the same situation: the
// median of ten runs in clknetsim.
type Figures struct {
	RMS    float64    // seconds; of the row l outage the error at its end
	Max    float64    // seconds; of the row g after the overshoot; 0 = not known
	Freq   float64    // RMS of the frequency error, ratio; 0 = not known
	Poll   float64    // mean, seconds; 0 = not known
	Settle [3]float64 // as in Result; 0, 0, 0 = not known
}

// Chrony returns chrony's figures for a row, its variant and phase.
func Chrony(row, variant, phase string) (Figures, bool) {
	f, ok := chronyFigures[[3]string{row, variant, phase}]
	return f, ok
}

var never = math.NaN()

var chronyFigures = map[[3]string]Figures{
	{"a", "default", "all"}: {11.8e-6, 62e-6, 52e-9, 184, [3]float64{6, 6, 74}},
	{"a", "lan", "all"}:     {1.73e-6, 7.5e-6, 53e-9, 16, [3]float64{2, 2, 3}},
	{"b", "default", "all"}: {125e-9, 475e-9, 1.9e-9, 65, [3]float64{5, 6, 6}},
	{"b", "lan", "all"}:     {45e-9, 198e-9, 2.5e-9, 16, [3]float64{0, 2, 2}},
	{"b", "poll0", "all"}:   {13.5e-9, 136e-9, 5.1e-9, 1, [3]float64{0, 3, 3}},
	{"c", "default", "all"}: {534e-6, 1.36e-3, 260e-9, 1030, [3]float64{74, 8522, never}},
	{"c", "poll46", "all"}:  {88.5e-6, 260e-6, 190e-9, 65, [3]float64{6, 2122, never}},
	{"d", "default", "all"}: {56e-6, 245e-6, 110e-9, 507, [3]float64{154, 463, 14068}},
	{"d", "lan", "all"}:     {6.35e-6, 35e-6, 110e-9, 16, [3]float64{4, 12, 3498}},
	{"e", "default", "all"}: {43e-6, 117e-6, 820e-9, 65, [3]float64{6, 6, never}},
	{"e", "lan", "all"}:     {4.8e-6, 20e-6, 350e-9, 14, [3]float64{2, 2, 1938}},

	{"f", "default", "before"}: {7.4e-6, 19e-6, 11e-9, 960, [3]float64{}},
	{"f", "default", "after"}:  {144e-6, 1.96e-3, 0, 0, [3]float64{590, 746, 746}},
	{"f", "lan", "before"}:     {625e-9, 2.4e-6, 7e-9, 16, [3]float64{}},
	{"f", "lan", "after"}:      {2.9e-6, 133e-6, 0, 0, [3]float64{0, 34, 66}},
	{"g", "default", "before"}: {16e-6, 38e-6, 15e-9, 1030, [3]float64{}},
	{"g", "default", "after"}:  {9.5e-3, 10.5e-3, 0, 0, [3]float64{632, 634, 1188}},
	{"g", "lan", "before"}:     {2.2e-6, 10e-6, 28e-9, 16, [3]float64{}},
	{"g", "lan", "after"}:      {1.6e-3, 6.3e-3, 0, 0, [3]float64{16, 16, 592}},

	{"h", "default", "all"}: {132e-6, 377e-6, 93e-9, 995, [3]float64{6, 79, 3784}},
	{"h", "lan", "all"}:     {7.5e-6, 24.5e-6, 56e-9, 16, [3]float64{3, 4, 964}},
	{"i", "default", "all"}: {99e-6, 423e-6, 180e-9, 502, [3]float64{12, 45, 558}},
	{"i", "lan", "all"}:     {6.35e-6, 27e-6, 89e-9, 16, [3]float64{3, 3, 98}},
	{"j", "default", "all"}: {67e-6, 219e-6, 150e-9, 325, [3]float64{15, 82, 1259}},
	{"j", "lan", "all"}:     {7.3e-6, 35e-6, 150e-9, 16, [3]float64{3, 4, 480}},
	{"k", "step", "all"}:    {7.4e-6, 11.5e-6, 4.5e-9, 900, [3]float64{5, 7, 414}},
	{"k", "slew", "all"}:    {7.5e-6, 11.6e-6, 4.6e-9, 900, [3]float64{8, 8, 415}},
	{"k", "lan", "all"}:     {2.1e-6, 5e-6, 18e-9, 16, [3]float64{1, 1, 54}},

	{"l", "default", "outage"}: {97e-6, 0, 0, 0, [3]float64{}},
	{"l", "default", "after"}:  {34e-6, 0, 0, 0, [3]float64{0, 360, 5158}},
	{"l", "lan", "outage"}:     {67e-6, 0, 0, 0, [3]float64{}},
	{"l", "lan", "after"}:      {3.6e-6, 0, 0, 0, [3]float64{0, 0, 27}},
	{"m", "poll10", "all"}:     {107e-6, 420e-6, 130e-9, 1030, [3]float64{1044, 1063, 11820}},
}
