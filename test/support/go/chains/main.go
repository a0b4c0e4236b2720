// Verifies chains with Go's crypto/x509. In: a JSON list of chains, each leaf first, with the roots to trust and the time
// in milliseconds since the epoch. Out: for each whether a verifier accepts it.
package main

import (
	"crypto/x509"
	"encoding/json"
	"log"
	"os"
	"time"
)

type question struct {
	Chain [][]byte `json:"chain"`
	Roots [][]byte `json:"roots"`
	Now   int64    `json:"now"`
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		log.Fatal(err)
	}
	answers := make([]bool, 0, len(questions))
	for _, question := range questions {
		answers = append(answers, verifies(question))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func verifies(question question) bool {
	chain := parse(question.Chain)
	intermediates, roots := x509.NewCertPool(), x509.NewCertPool()
	for _, certificate := range chain[1:] {
		intermediates.AddCert(certificate)
	}
	for _, root := range parse(question.Roots) {
		roots.AddCert(root)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Intermediates: intermediates,
		Roots:         roots,
		CurrentTime:   time.UnixMilli(question.Now),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil
}

func parse(ders [][]byte) []*x509.Certificate {
	certificates := make([]*x509.Certificate, 0, len(ders))
	for _, der := range ders {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			log.Fatal(err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates
}
