// Reads PEM texts with Go's encoding/pem. In: a JSON list of texts. Out: for each text its blocks.
package main

import (
	"encoding/json"
	"encoding/pem"
	"log"
	"os"
)

type block struct {
	Label string `json:"label"`
	Bytes []byte `json:"bytes"`
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		log.Fatal(err)
	}
	answers := make([][]block, 0, len(texts))
	for _, text := range texts {
		answers = append(answers, read([]byte(text)))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func read(rest []byte) []block {
	blocks := []block{}
	for {
		var found *pem.Block
		found, rest = pem.Decode(rest)
		if found == nil {
			return blocks
		}
		blocks = append(blocks, block{found.Type, found.Bytes})
	}
}
