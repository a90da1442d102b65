// Package summary holds what all summarizers share: the categories that a conversation may have.
package summary

import "earshot.dev/shared/conversation"

// Categories are those that Omi's clients know, in their order. "real" is real estate.
var Categories = []string{
	"personal", "education", "health", "finance", "legal", "philosophy", "spiritual", "science", "entrepreneurship",
	"parenting", "romantic", "travel", "inspiration", "technology", "business", "social", "work", "sports", "politics",
	"literature", "history", "architecture", "music", "weather", "news", "entertainment", "psychology", "real", "design",
	"family", "economics", "environment", conversation.CategoryOther,
}

// Emoji is the picture of a category; one that nobody knows has that of "other".
func Emoji(category string) string {
	if emoji, ok := emojis[category]; ok {
		return emoji
	}
	return emojis[conversation.CategoryOther]
}

var emojis = map[string]string{
	"personal": "🙂", "education": "🎓", "health": "🩺", "finance": "💰", "legal": "⚖️", "philosophy": "🤔",
	"spiritual": "🙏", "science": "🔬", "entrepreneurship": "🚀", "parenting": "🍼", "romantic": "❤️", "travel": "✈️",
	"inspiration": "💡", "technology": "💻", "business": "📈", "social": "👥", "work": "💼", "sports": "🏅",
	"politics": "🏛️", "literature": "📚", "history": "📜", "architecture": "🏗️", "music": "🎵", "weather": "⛅",
	"news": "📰", "entertainment": "🎬", "psychology": "🧠", "real": "🏠", "design": "🎨", "family": "👪",
	"economics": "📊", "environment": "🌱", conversation.CategoryOther: "💬",
}
