// SPDX-License-Identifier: Apache-2.0

package stats

import "math"

// studentT returns the 99.95 % quantile of Student's t distribution: a slope
// is within that many standard deviations with 99.9 % confidence. Exact for 1
// and 2 degrees of freedom, then by Hill's expansion (Comm. ACM algorithm
// 396), good to 1 % where it matters. Beyond 40 the normal value is used.
func studentT(dof int) float64 {
	const p = 0.001 // two-sided
	switch {
	case dof <= 1:
		return 1 / math.Tan(p*math.Pi/2)
	case dof == 2:
		return math.Sqrt(2/(p*(2-p)) - 2)
	case dof > 40:
		return 3.5
	}
	n := float64(dof)
	a := 1 / (n - 0.5)
	b := 48 / (a * a)
	c := ((20700*a/b-98)*a-16)*a + 96.36
	d := ((94.5/(b+c)-3)/b + 1) * math.Sqrt(a*math.Pi/2) * n
	x := d * p
	y := math.Pow(x, 2/n)
	if y > 0.05+a {
		x = -3.290526731 // normal quantile of p/2
		y = x * x
		if n < 5 {
			c += 0.3 * (n - 4.5) * (x + 0.6)
		}
		c += (((0.05*d*x-5)*x-7)*x-2)*x + b
		y = (((((0.4*y+6.3)*y+36)*y+94.5)/c-y-3)/b + 1) * x
		y = math.Expm1(a * y * y)
	} else {
		y = ((1/(((n+6)/(n*y)-0.089*d-0.822)*(n+2)*3)+0.5/(n+4))*y-1)*(n+1)/(n+2) + 1/y
	}
	return math.Sqrt(n * y)
}

// criticalRuns returns the number of runs of residual signs that n residuals
// about a good line exceed with 95 % probability: the number of runs is close
// to normal with mean 1+(n-1)/2 and variance (n-1)/4. Under 8 residuals say
// nothing.
func criticalRuns(n int) int {
	if n < 8 {
		return 0
	}
	m := float64(n - 1)
	return int(math.Round(1 + m/2 - 1.645*math.Sqrt(m)/2))
}
