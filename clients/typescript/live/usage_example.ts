// The client-side usage example of the design document 004 ("WebSocket Implementation for Chat Service"), word for word.
// The package's name is an alias of this client, and the base URL is replaced by that of a server: see vitest.live.config.ts.

import { createWebSocketClient, WebSocketCallbacks } from '@dome/chat';

// Create a WebSocket client
const wsClient = createWebSocketClient('https://api.example.com');

// Define callback handlers
const callbacks: WebSocketCallbacks = {
  onText: text => {
    console.log('Received text:', text);
    // Update UI with text
  },
  onSources: sources => {
    console.log('Received sources:', sources);
    // Display sources in UI
  },
  onWorkflowStep: step => {
    console.log('Current workflow step:', step);
    // Update progress indicator
  },
  onError: error => {
    console.error('Error:', error);
    // Display error message
  },
  onEnd: () => {
    console.log('Chat session ended');
    // Clean up UI
  },
};

// Start a chat session
await wsClient.generateChatResponse(
  {
    userId: 'user123',
    messages: [{ role: 'user', content: 'Hello, how can you help me?' }],
    options: { enhanceWithContext: true },
  },
  callbacks,
);

// Close the connection when done
wsClient.close();
